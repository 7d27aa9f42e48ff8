// Adagrad (Duchi, Hazan and Singer 2011).
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;  // L2: g += weight_decay * w
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  SparsePolicy policy = SparsePolicy::kLazy;
};

// s = s + g^2, from initial_accumulator_value on
// w -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps), t counting the parameter's steps
// https://pytorch.org/docs/stable/generated/torch.optim.Adagrad.html
// Without weight decay all policies give the same numbers: zeros in a gradient change nothing. With
// it a row replays every step that it has missed under kExact, because nothing shorter gives the
// same numbers.
class Adagrad : public Optimizer {
 public:
  explicit Adagrad(std::vector<Tensor> parameters, AdagradOptions options = {})
      : Adagrad(std::vector<ParamGroup>{{std::move(parameters)}}, options) {}
  explicit Adagrad(const std::vector<ParamGroup>& groups, AdagradOptions options = {});
  ~Adagrad() override { settle(); }

 private:
  void begin_step(std::size_t, double lr, std::size_t t) override;
  void update(std::size_t k, std::size_t at, std::size_t n, Real* w, const Real* g,
              bool lazy) override;
  bool moves_unnamed(std::size_t k) const override { return weight_decay(k) != 0; }
  AdagradOptions options_;
  Real rate_ = 0;           // lr / (1 + (t - 1) * lr_decay)
  std::vector<State> sum_;  // s without its initial value: rows without a gradient stay zero
};

}  // namespace gradwalk
