#include "optim/adagrad.hpp"

#include <cmath>

#include "optim/exact_rows.hpp"

namespace gradwalk {
namespace {

class AdagradRule : public UpdateRule, public Shortcuts {
 public:
  AdagradRule(const ParamGroups& groups, const AdagradOptions& o)
      : options_(o), sum_(zeros_like(groups)) {
    check_options("adagrad", {{"lr", o.lr}, {"lr_decay", o.lr_decay}, {"eps", o.eps}});
    check_options("adagrad", {{"weight_decay", o.weight_decay}});
    check_options("adagrad", {{"initial_accumulator_value", o.initial_accumulator_value}});
  }

  void begin_step(std::size_t k, double lr, double weight_decay, std::size_t t) override {
    const double falling = lr / (1 + static_cast<double>(t - 1) * options_.lr_decay);
    UpdateRule::begin_step(k, falling, weight_decay, t);
  }

  void update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
              const Real* __restrict g, bool) override {
    Real* __restrict s = sum_[k].data() + at;
    const Real eps = static_cast<Real>(options_.eps),
               initial = static_cast<Real>(options_.initial_accumulator_value);
    for (std::size_t i = 0; i < n; ++i) {
      const Real gi = g[i] + decay_ * w[i];
      s[i] += gi * gi;
      w[i] -= rate_ * gi / (std::sqrt(initial + s[i]) + eps);
    }
  }

  std::vector<Kept> state(std::size_t k) override { return {{"sum", sum_[k].data()}}; }

  bool moves_on_zero(double weight_decay) const override { return weight_decay != 0; }

 private:
  AdagradOptions options_;
  std::vector<Zeros<Real>> sum_;  // s without its initial value: rows without a gradient stay zero
};

}  // namespace

Adagrad::Adagrad(const ParamGroups& groups, const AdagradOptions& o)
    : Optimizer(groups, o.lr, o.weight_decay, o.policy, std::make_unique<AdagradRule>(groups, o)) {}

}  // namespace gradwalk
