// RMSprop (Tieleman and Hinton 2012; centered: Graves 2013).
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;  // L2: g += weight_decay * w
  double momentum = 0;
  bool centered = false;
  SparsePolicy policy = SparsePolicy::kLazy;
};

// v = alpha v + (1 - alpha) g^2;  a = alpha a + (1 - alpha) g where centered, else 0
// d = g / (sqrt(v - a^2) + eps);  b = momentum b + d;  w -= lr * b
// https://pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
// Under kExact without weight decay any number of missed steps is made in one. With it a row
// replays every step that it has missed, because nothing shorter gives the same numbers.
class RMSprop : public Optimizer {
 public:
  explicit RMSprop(std::vector<Tensor> parameters, RMSpropOptions options = {})
      : RMSprop(std::vector<ParamGroup>{{std::move(parameters)}}, options) {}
  explicit RMSprop(const std::vector<ParamGroup>& groups, RMSpropOptions options = {});
  ~RMSprop() override { settle(); }

 private:
  void begin_step(std::size_t, double lr, std::size_t) override { rate_ = static_cast<Real>(lr); }
  void update(std::size_t k, std::size_t at, std::size_t n, Real* w, const Real* g,
              bool lazy) override;
  std::size_t replay_limit(std::size_t k, std::size_t at, std::size_t n) override;
  LinearStep missed_step(std::size_t, double lr) const override;
  void skip(std::size_t k, std::size_t at, std::size_t n, Real* w, const LinearStep& together,
            std::size_t count) override;
  RMSpropOptions options_;
  Real rate_ = 0;
  std::vector<State> v_, a_, b_;  // no a unless centered, no b without momentum
};

}  // namespace gradwalk
