#include "optim/rmsprop.hpp"

#include <algorithm>
#include <cmath>

#include "optim/exact_rows.hpp"

namespace gradwalk {
namespace {

class RmspropRule : public UpdateRule, public Shortcuts {
 public:
  RmspropRule(const ParamGroups& groups, const RmspropOptions& o)
      : options_(o), v_(zeros_like(groups)) {
    check_options("rmsprop", {{"lr", o.lr}, {"alpha", o.alpha, 1}, {"eps", o.eps}});
    check_options("rmsprop", {{"weight_decay", o.weight_decay}, {"momentum", o.momentum}});
    if (o.centered) a_ = zeros_like(groups);
    if (o.momentum != 0) b_ = zeros_like(groups);
  }

  void update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
              const Real* __restrict g, bool) override {
    Real* __restrict v = v_[k].data() + at;
    Real* __restrict a = a_.empty() ? nullptr : a_[k].data() + at;
    Real* __restrict b = b_.empty() ? nullptr : b_[k].data() + at;
    const Real rate = rate_, decay = decay_, new_part = static_cast<Real>(1 - options_.alpha),
               eps = static_cast<Real>(options_.eps),
               momentum = static_cast<Real>(options_.momentum);
    const auto loop = [=](auto heavy) {  // compiled for both cases, so that both are vectorised
      for (std::size_t i = 0; i < n; ++i) {
        const Real gi = g[i] + decay * w[i];
        v[i] += new_part * (gi * gi - v[i]);
        Real variance = v[i];
        if (a) {
          a[i] += new_part * (gi - a[i]);
          variance = std::max(v[i] - a[i] * a[i], Real(0));  // rounding may have made it negative
        }
        Real d = gi / (std::sqrt(variance) + eps);
        if constexpr (heavy) d = b[i] = momentum * b[i] + d;
        w[i] -= rate * d;
      }
    };
    b ? loop(std::true_type()) : loop(std::false_type());
  }

  std::vector<Kept> state(std::size_t k) override {
    std::vector<Kept> all{{"square_avg", v_[k].data()}};
    if (!a_.empty()) all.push_back({"grad_avg", a_[k].data()});
    if (!b_.empty()) all.push_back({"momentum_buffer", b_[k].data()});
    return all;
  }

  std::size_t replay_limit(const Row& r, double highest_lr, double weight_decay) override {
    return weight_decay == 0 ? 0 : Shortcuts::replay_limit(r, highest_lr, weight_decay);
  }
  // update() with g = 0: b' = momentum b, w' = w - lr b'
  LinearStep missed_step(double lr, double) const override {
    return {1, -lr * options_.momentum, 0, options_.momentum};
  }
  void skip(const Row& r, const LinearStep& together, std::size_t count) override {
    if (!b_.empty()) apply(together, r.n, r.w, b_[r.k].data() + r.at);
    const double left = std::pow(options_.alpha, count);
    shrink(left, r.n, v_[r.k].data() + r.at);
    if (!a_.empty()) shrink(left, r.n, a_[r.k].data() + r.at);
  }

 private:
  RmspropOptions options_;
  std::vector<Zeros<Real>> v_, a_, b_;  // no a unless centered, no b without momentum
};

}  // namespace

RMSprop::RMSprop(const ParamGroups& groups, const RmspropOptions& o)
    : Optimizer(groups, o.lr, o.weight_decay, o.policy, std::make_unique<RmspropRule>(groups, o)) {}

}  // namespace gradwalk
