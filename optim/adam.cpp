#include "optim/adam.hpp"

#include <algorithm>
#include <cmath>

#include "optim/exact_rows.hpp"

namespace gradwalk {
namespace {

class AdamRule : public UpdateRule, public Shortcuts {
 public:
  AdamRule(const char* op, const ParamGroups& groups, const AdamOptions& o, bool decoupled)
      : options_(o), decoupled_(decoupled), m_(zeros_like(groups)), v_(zeros_like(groups)) {
    check_options(op, {{"lr", o.lr}, {"beta1", o.beta1, 1}, {"beta2", o.beta2, 1}});
    check_options(op, {{"eps", o.eps}, {"weight_decay", o.weight_decay.value_or(0)}});
  }

  void begin_step(std::size_t, double lr, double weight_decay, std::size_t t) override {
    rate_ = static_cast<Real>(lr / (1 - std::pow(options_.beta1, t)));
    root_ = static_cast<Real>(1 / std::sqrt(1 - std::pow(options_.beta2, t)));
    keep_ = static_cast<Real>(kept(lr, weight_decay));
    decay_ = static_cast<Real>(decoupled_ ? 0 : weight_decay);
  }

  void update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
              const Real* __restrict g, bool lazy) override {
    Real* __restrict m = m_[k].data() + at, * __restrict v = v_[k].data() + at;
    const Real new1 = static_cast<Real>(1 - options_.beta1),
               new2 = static_cast<Real>(1 - options_.beta2);
    const Real eps = static_cast<Real>(options_.eps) * (lazy ? root_ : 1);  // as SparseAdam has it
    for (std::size_t i = 0; i < n; ++i) {
      const Real gi = g[i] + decay_ * w[i];
      m[i] += new1 * (gi - m[i]);
      v[i] += new2 * (gi * gi - v[i]);
      w[i] = keep_ * w[i] - rate_ * m[i] / (std::sqrt(v[i]) * root_ + eps);
    }
  }

  std::vector<Kept> state(std::size_t k) override {
    return {{"exp_avg", m_[k].data()}, {"exp_avg_sq", v_[k].data()}};
  }

  // Without a gradient m falls by beta1 a step and sqrt(v) by sqrt(beta2), so a step is at most
  // beta1 / sqrt(beta2) of the one before. Decoupled decay leaves kept() of w and of all steps
  // before: relative to them a step shrinks by q = beta1 / sqrt(beta2) / kept(). (eps only makes it
  // shrink faster; the bias correction of v, from 1 / sqrt(1 - beta2) down to 1, slows it down by
  // that much in total.) The steps after the first K add up to q^K / (1 - q) / sqrt(1 - beta2) of
  // one step at the highest learning rate. Where that is below the rounding of this step, they are
  // left out.
  std::size_t replay_limit(const Row& r, double highest_lr, double weight_decay) override {
    constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
    if (!decoupled_ && weight_decay != 0) return kAll;
    const Real* m = m_[r.k].data() + r.at;
    if (std::all_of(m, m + r.n, [](Real x) { return x == 0; })) return 0;  // nothing but decay
    const double q = options_.beta1 / std::sqrt(options_.beta2) / kept(highest_lr, weight_decay);
    if (!(q >= 0 && q < 1)) return kAll;  // decay outruns the moments
    const double rest =
        std::numeric_limits<Real>::epsilon() * (1 - q) * std::sqrt(1 - options_.beta2);
    return static_cast<std::size_t>(std::ceil(std::log(rest) / std::log(q)));
  }
  LinearStep missed_step(double lr, double weight_decay) const override {
    return {kept(lr, weight_decay), 0, 0, 1};
  }
  void skip(const Row& r, const LinearStep& together, std::size_t count) override {
    shrink(together.ww, r.n, r.w);
    shrink(std::pow(options_.beta1, count), r.n, m_[r.k].data() + r.at);
    shrink(std::pow(options_.beta2, count), r.n, v_[r.k].data() + r.at);
  }

 private:
  double kept(double lr, double weight_decay) const {
    return decoupled_ ? 1 - lr * weight_decay : 1;
  }

  AdamOptions options_;
  bool decoupled_;
  Real root_ = 0, keep_ = 1;  // 1 / sqrt(1 - beta2^t); what decoupled decay leaves of w
  std::vector<Zeros<Real>> m_, v_;
};

}  // namespace

Adam::Adam(const ParamGroups& groups, const AdamOptions& o)
    : Optimizer(groups, o.lr, o.weight_decay.value_or(0), o.policy,
                std::make_unique<AdamRule>("adam", groups, o, false)) {}

AdamW::AdamW(const ParamGroups& groups, const AdamOptions& o)
    : Optimizer(groups, o.lr, o.weight_decay.value_or(0.01), o.policy,
                std::make_unique<AdamRule>("adamw", groups, o, true)) {}

}  // namespace gradwalk
