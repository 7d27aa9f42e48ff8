#include "optim/adagrad.hpp"

#include <cmath>

#include "core/error.hpp"

namespace gradwalk {

Adagrad::Adagrad(const std::vector<ParamGroup>& groups, AdagradOptions options)
    : Optimizer(groups, options.lr, options.weight_decay, options.policy), options_(options) {
  check(options.lr_decay >= 0 && options.weight_decay >= 0 &&
            options.initial_accumulator_value >= 0 && options.eps >= 0,
        "adagrad: lr_decay, weight_decay, initial_accumulator_value and eps must not be negative, "
        "got ",
        options.lr_decay, ", ", options.weight_decay, ", ", options.initial_accumulator_value,
        " and ", options.eps);
  for (const Tensor& p : parameters()) sum_.emplace_back(p.size());
}

void Adagrad::begin_step(std::size_t, double lr, std::size_t t) {
  rate_ = static_cast<Real>(lr / (1 + static_cast<double>(t - 1) * options_.lr_decay));
}

void Adagrad::update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
                     const Real* __restrict g, bool) {
  Real* __restrict s = sum_[k].data() + at;
  const Real rate = rate_, decay = static_cast<Real>(weight_decay(k)),
             initial = static_cast<Real>(options_.initial_accumulator_value),
             eps = static_cast<Real>(options_.eps);
  for (std::size_t i = 0; i < n; ++i) {
    const Real gi = g[i] + decay * w[i];
    s[i] += gi * gi;
    w[i] -= rate * gi / (std::sqrt(initial + s[i]) + eps);
  }
}

}  // namespace gradwalk
