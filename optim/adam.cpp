#include "optim/adam.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace gradwalk {

Adam::Adam(const std::vector<ParamGroup>& groups, AdamOptions options, bool decoupled)
    : Optimizer(groups, options.lr, options.weight_decay.value_or(decoupled ? 0.01 : 0),
                options.policy),
      options_(options),
      decoupled_(decoupled) {
  check(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1,
        "adam: beta1 and beta2 must be in [0, 1), got ", options.beta1, " and ", options.beta2);
  check(options.eps >= 0 && options.weight_decay.value_or(0) >= 0,
        "adam: eps and weight_decay must not be negative, got ", options.eps, " and ",
        options.weight_decay.value_or(0));
  for (const Tensor& p : parameters()) {
    m_.emplace_back(p.size());
    v_.emplace_back(p.size());
  }
}

void Adam::begin_step(std::size_t k, double lr, std::size_t t) {
  rate_ = static_cast<Real>(lr / (1 - std::pow(options_.beta1, t)));
  root_ = static_cast<Real>(1 / std::sqrt(1 - std::pow(options_.beta2, t)));
  keep_ = static_cast<Real>(decoupled_ ? 1 - lr * weight_decay(k) : 1);
}

void Adam::update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
                  const Real* __restrict g, bool lazy) {
  Real* __restrict m = m_[k].data() + at, * __restrict v = v_[k].data() + at;
  const Real new1 = static_cast<Real>(1 - options_.beta1),
             new2 = static_cast<Real>(1 - options_.beta2);
  const Real rate = rate_, root = root_, keep = keep_;
  const Real eps = static_cast<Real>(options_.eps) * (lazy ? root : 1);  // as SparseAdam has it
  const Real l2 = static_cast<Real>(decoupled_ ? 0 : weight_decay(k));
  for (std::size_t i = 0; i < n; ++i) {
    const Real gi = g[i] + l2 * w[i];
    m[i] += new1 * (gi - m[i]);
    v[i] += new2 * (gi * gi - v[i]);
    w[i] = keep * w[i] - rate * m[i] / (std::sqrt(v[i]) * root + eps);
  }
}

// Without a gradient m falls by beta1 a step and sqrt(v) by sqrt(beta2), so that w moves by at most
// beta1 / sqrt(beta2) of the step before, while its decay, if any, leaves `keep` of w and of all
// steps before: relative to them a step shrinks by q = beta1 / sqrt(beta2) / keep. (eps only makes
// it shrink faster. The bias correction of v, which shrinks from 1 / sqrt(1 - beta2) to 1, slows it
// down by so much in all.) The steps after the first K add up to q^K / (1 - q) / sqrt(1 - beta2) of
// one step at the highest learning rate so far; where that is below the rounding of this one step,
// they are left out.
std::size_t Adam::replay_limit(std::size_t k, std::size_t at, std::size_t n) {
  const std::size_t all = Optimizer::replay_limit(k, at, n);
  if (!decoupled_ && weight_decay(k) != 0) return all;
  const Real* m = m_[k].data() + at;
  if (std::all_of(m, m + n, [](Real x) { return x == 0; })) return 0;  // nothing moves but by decay
  const double keep = decoupled_ ? 1 - highest_lr(k) * weight_decay(k) : 1,
               q = options_.beta1 / std::sqrt(options_.beta2) / keep;
  if (!(q >= 0 && q < 1)) return all;  // decay outruns the moments
  const double rest =
      std::numeric_limits<Real>::epsilon() * (1 - q) * std::sqrt(1 - options_.beta2);
  return static_cast<std::size_t>(std::ceil(std::log(rest) / std::log(q)));
}

LinearStep Adam::missed_step(std::size_t k, double lr) const {
  return {decoupled_ ? 1 - lr * weight_decay(k) : 1, 0, 0, 1};
}

void Adam::skip(std::size_t k, std::size_t at, std::size_t n, Real* w, const LinearStep& together,
                std::size_t count) {
  apply(together, n, w, nullptr);
  shrink(std::pow(options_.beta1, count), n, m_[k].data() + at);
  shrink(std::pow(options_.beta2, count), n, v_[k].data() + at);
}

}  // namespace gradwalk
