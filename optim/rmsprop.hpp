// RMSprop (Tieleman and Hinton 2012; centered: Graves 2013).
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

struct RmspropOptions {
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
// replays every missed step: nothing shorter gives the same numbers.
// Throws std::invalid_argument if an option is negative or not finite or alpha not below 1, and as
// Optimizer does.
class RMSprop : public Optimizer {
 public:
  explicit RMSprop(const ParamGroups& groups, const RmspropOptions& options = {});
};

}  // namespace gradwalk
