#include "optim/sgd.hpp"

#include "core/error.hpp"
#include "optim/exact_rows.hpp"

namespace gradwalk {
namespace {

class SgdRule : public UpdateRule, public Shortcuts {
 public:
  SgdRule(const ParamGroups& groups, const SgdOptions& o)
      : momentum_(static_cast<Real>(o.momentum)),
        look_ahead_(o.nesterov ? momentum_ : 1),
        direct_(o.nesterov ? 1 : 0) {
    check_options("sgd",
                  {{"lr", o.lr}, {"momentum", o.momentum}, {"weight_decay", o.weight_decay}});
    check(!o.nesterov || o.momentum > 0, "sgd: nesterov needs a momentum");
    if (o.momentum != 0) velocity_ = zeros_like(groups);
  }

  void update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
              const Real* __restrict g, bool) override {
    if (velocity_.empty()) {
      for (std::size_t i = 0; i < n; ++i) w[i] -= rate_ * (g[i] + decay_ * w[i]);
      return;
    }
    Real* __restrict b = velocity_[k].data() + at;  // from 0 on: the first b is g, as in PyTorch
    for (std::size_t i = 0; i < n; ++i) {
      const Real gi = g[i] + decay_ * w[i];
      b[i] = momentum_ * b[i] + gi;
      w[i] -= rate_ * (direct_ * gi + look_ahead_ * b[i]);
    }
  }

  std::vector<Kept> state(std::size_t k) override {
    if (velocity_.empty()) return {};
    return {{"momentum_buffer", velocity_[k].data()}};
  }

  bool moves_on_zero(double weight_decay) const override {
    return momentum_ != 0 || weight_decay != 0;
  }
  std::size_t replay_limit(const Row&, double, double) override { return 0; }
  // update() with g = 0:
  // gi = decay w, b' = momentum b + gi, w' = w - lr (direct gi + look_ahead b')
  LinearStep missed_step(double lr, double decay) const override {
    return {1 - lr * (direct_ + look_ahead_) * decay, -lr * look_ahead_ * momentum_, decay,
            momentum_};
  }
  void skip(const Row& r, const LinearStep& together, std::size_t) override {
    if (velocity_.empty())
      shrink(together.ww, r.n, r.w);
    else
      apply(together, r.n, r.w, velocity_[r.k].data() + r.at);
  }

 private:
  Real momentum_, look_ahead_, direct_;
  std::vector<Zeros<Real>> velocity_;  // b; none without momentum
};

}  // namespace

SGD::SGD(const ParamGroups& groups, const SgdOptions& o)
    : Optimizer(groups, o.lr, o.weight_decay, o.policy, std::make_unique<SgdRule>(groups, o)) {}

}  // namespace gradwalk
