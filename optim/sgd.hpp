// Stochastic gradient descent.
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

struct SgdOptions {
  double lr = 1e-3;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;  // L2: g += weight_decay * w
  SparsePolicy policy = SparsePolicy::kLazy;
};

// b = momentum * b + g;  w -= lr * (nesterov ? g + momentum * b : b)
// https://pytorch.org/docs/stable/generated/torch.optim.SGD.html
// Under kLazy without momentum and decay this equals dense SGD. Under kExact missed steps are
// linear: any number of them is made in one.
// Throws std::invalid_argument if an option is negative or not finite, for nesterov without
// momentum, and as Optimizer does.
class SGD : public Optimizer {
 public:
  explicit SGD(const ParamGroups& groups, const SgdOptions& options = {});
};

}  // namespace gradwalk
