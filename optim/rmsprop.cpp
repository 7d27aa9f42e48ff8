#include "optim/rmsprop.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace gradwalk {

RMSprop::RMSprop(const std::vector<ParamGroup>& groups, RMSpropOptions options)
    : Optimizer(groups, options.lr, options.weight_decay, options.policy), options_(options) {
  check(options.alpha >= 0 && options.alpha < 1, "rmsprop: alpha must be in [0, 1), got ",
        options.alpha);
  check(options.eps >= 0 && options.weight_decay >= 0 && options.momentum >= 0,
        "rmsprop: eps, weight_decay and momentum must not be negative, got ", options.eps, ", ",
        options.weight_decay, " and ", options.momentum);
  for (const Tensor& p : parameters()) {
    v_.emplace_back(p.size());
    if (options.centered) a_.emplace_back(p.size());
    if (options.momentum != 0) b_.emplace_back(p.size());
  }
}

void RMSprop::update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
                     const Real* __restrict g, bool) {
  Real* __restrict v = v_[k].data() + at;
  Real* __restrict a = a_.empty() ? nullptr : a_[k].data() + at;
  Real* __restrict b = b_.empty() ? nullptr : b_[k].data() + at;
  const Real rate = rate_, decay = static_cast<Real>(weight_decay(k)),
             new_part = static_cast<Real>(1 - options_.alpha),
             eps = static_cast<Real>(options_.eps), momentum = static_cast<Real>(options_.momentum);
  for (std::size_t i = 0; i < n; ++i) {
    const Real gi = g[i] + decay * w[i];
    v[i] += new_part * (gi * gi - v[i]);
    Real variance = v[i];
    if (a) {
      a[i] += new_part * (gi - a[i]);
      variance = std::max(v[i] - a[i] * a[i], Real(0));  // which rounding may have made negative
    }
    Real d = gi / (std::sqrt(variance) + eps);
    if (b) d = b[i] = momentum * b[i] + d;
    w[i] -= rate * d;
  }
}

std::size_t RMSprop::replay_limit(std::size_t k, std::size_t at, std::size_t n) {
  return weight_decay(k) != 0 ? Optimizer::replay_limit(k, at, n) : 0;
}

// update() with g = 0: b' = momentum b, w' = w - lr b'
LinearStep RMSprop::missed_step(std::size_t, double lr) const {
  return {1, -lr * options_.momentum, 0, options_.momentum};
}

void RMSprop::skip(std::size_t k, std::size_t at, std::size_t n, Real* w,
                   const LinearStep& together, std::size_t count) {
  if (!b_.empty()) apply(together, n, w, b_[k].data() + at);
  const double left = std::pow(options_.alpha, count);
  shrink(left, n, v_[k].data() + at);
  if (!a_.empty()) shrink(left, n, a_[k].data() + at);
}

}  // namespace gradwalk
