// Stochastic gradient descent.
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

struct SGDOptions {
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;  // L2: g += weight_decay * w
  SparsePolicy policy = SparsePolicy::kLazy;
};

// b = momentum * b + g;  w -= lr * (nesterov ? g + momentum * b : b)
// https://pytorch.org/docs/stable/generated/torch.optim.SGD.html
// Under kLazy without momentum and decay this equals dense SGD. Under kExact missed steps are
// linear: any number of them is made in one.
class SGD : public Optimizer {
 public:
  SGD(std::vector<Tensor> parameters, double lr, SGDOptions options = {})
      : SGD(std::vector<ParamGroup>{{std::move(parameters)}}, lr, options) {}
  SGD(const std::vector<ParamGroup>& groups, double lr, SGDOptions options = {});
  ~SGD() override { settle(); }

 private:
  void begin_step(std::size_t, double lr, std::size_t) override { rate_ = static_cast<Real>(lr); }
  void update(std::size_t k, std::size_t at, std::size_t n, Real* w, const Real* g,
              bool lazy) override;
  bool moves_unnamed(std::size_t k) const override {
    return options_.momentum != 0 || weight_decay(k) != 0;
  }
  std::size_t replay_limit(std::size_t, std::size_t, std::size_t) override { return 0; }
  LinearStep missed_step(std::size_t k, double lr) const override;
  void skip(std::size_t k, std::size_t at, std::size_t n, Real* w, const LinearStep& together,
            std::size_t count) override;
  SGDOptions options_;
  Real rate_ = 0;
  std::vector<State> velocity_;  // b; none without momentum
};

}  // namespace gradwalk
