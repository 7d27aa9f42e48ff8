#include "core/not_written.hpp"  // goes with the line that calls it
#include "optim/my_name.hpp"

namespace gradwalk {
namespace {

// State, if there is any: std::vector<Zeros<Real>> m_ = zeros_like(groups). That of w[i] is then
// m_[k].data()[at + i].
class MyNameRule : public UpdateRule {
 public:
  explicit MyNameRule(const MyNameOptions& o) {
    check_options("my_name", {{"lr", o.lr}, {"weight_decay", o.weight_decay}});
  }

  void update(std::size_t /*k*/, std::size_t /*at*/, std::size_t n, Real* w, const Real* g,
              bool /*lazy*/) override {
    for (std::size_t i = 0; i < n; ++i) {
      const Real gi = g[i] + decay_ * w[i];
      not_written("the update of MyName", gi, rate_);  // w[i] -= ...
    }
  }
  // With state: {{"m", m_[k].data()}}, so that a checkpoint holds it.
  std::vector<Kept> state(std::size_t /*k*/) override { return {}; }
};

}  // namespace

MyName::MyName(const ParamGroups& groups, const MyNameOptions& o)
    : Optimizer(groups, o.lr, o.weight_decay, o.policy, std::make_unique<MyNameRule>(o)) {}

}  // namespace gradwalk
