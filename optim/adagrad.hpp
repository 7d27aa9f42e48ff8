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

// s = s + g^2, starting at initial_accumulator_value
// w -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps), t counting the parameter's steps
// https://pytorch.org/docs/stable/generated/torch.optim.Adagrad.html
// Without weight decay all policies give the same numbers: zeros in a gradient change nothing. With
// it a row replays every missed step under kExact: nothing shorter gives the same numbers.
// Throws std::invalid_argument if an option is negative or not finite, and as Optimizer does.
class Adagrad : public Optimizer {
 public:
  explicit Adagrad(const ParamGroups& groups, const AdagradOptions& options = {});
};

}  // namespace gradwalk
