// The optimizer MyName.
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

struct MyNameOptions {
  double lr = 1e-3;
  double weight_decay = 0;  // L2: g += weight_decay * w
  SparsePolicy policy = SparsePolicy::kLazy;
};

// w -= lr * g; an example: put your formula here
// Under kExact a row replays every missed step.
class MyName : public Optimizer {
 public:
  explicit MyName(const ParamGroups& groups, const MyNameOptions& options = {});
};

}  // namespace gradwalk
