#include "optim/adam.hpp"

#include <cmath>

#include "core/error.hpp"

namespace gradwalk {

Adam::Adam(std::vector<Tensor> all, AdamOptions options, bool decoupled)
    : Optimizer(std::move(all), options.lr, options.policy),
      options_(options),
      decoupled_(decoupled) {
  check(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1,
        "adam: beta1 and beta2 must be in [0, 1), got ", options.beta1, " and ", options.beta2);
  check(options.eps >= 0 && options.weight_decay >= 0,
        "adam: eps and weight_decay must not be negative, got ", options.eps, " and ",
        options.weight_decay);
  for (const Tensor& p : parameters()) {
    m_.emplace_back(p.size());
    v_.emplace_back(p.size());
  }
}

void Adam::begin_step() {
  ++t_;
  rate_ = static_cast<Real>(lr() / (1 - std::pow(options_.beta1, t_)));
  root_ = static_cast<Real>(1 / std::sqrt(1 - std::pow(options_.beta2, t_)));
}

void Adam::update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
                  const Real* __restrict g, bool lazy) {
  Real* __restrict m = m_[k].data() + at, * __restrict v = v_[k].data() + at;
  const Real new1 = static_cast<Real>(1 - options_.beta1),
             new2 = static_cast<Real>(1 - options_.beta2);
  const Real rate = rate_, root = root_;
  const Real eps = static_cast<Real>(options_.eps) * (lazy ? root : 1);  // as SparseAdam has it
  const Real l2 = static_cast<Real>(decoupled_ ? 0 : options_.weight_decay);
  const Real keep = static_cast<Real>(decoupled_ ? 1 - lr() * options_.weight_decay : 1);
  for (std::size_t i = 0; i < n; ++i) {
    const Real gi = g[i] + l2 * w[i];
    m[i] += new1 * (gi - m[i]);
    v[i] += new2 * (gi * gi - v[i]);
    w[i] = keep * w[i] - rate * m[i] / (std::sqrt(v[i]) * root + eps);
  }
}

AdamOptions AdamW::with_decay() {
  AdamOptions options;
  options.weight_decay = 0.01;
  return options;
}

}  // namespace gradwalk
