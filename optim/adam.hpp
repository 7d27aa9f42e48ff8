// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  // Adam: L2, g += weight_decay * w, 0 if not given; AdamW: w -= lr * weight_decay * w, 0.01
  std::optional<double> weight_decay = {};
  SparsePolicy policy = SparsePolicy::kLazy;
};

// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
// w -= lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), t counting the parameter's steps
// https://pytorch.org/docs/stable/generated/torch.optim.Adam.html
// Lazy rows divide by (sqrt(v) + eps) / sqrt(1 - beta2^t) instead, as torch.optim.SparseAdam does.
// Under kExact a row replays what it has missed until the rest is below rounding: at most about 400
// steps in double and 200 in float for the betas above. With L2 it replays every step, because
// nothing shorter gives the same numbers: prefer AdamW's decay there.
// Throws std::invalid_argument if an option is negative or not finite or a beta not below 1, and as
// Optimizer does.
class Adam : public Optimizer {
 public:
  explicit Adam(const ParamGroups& groups, const AdamOptions& options = {});
};

// Adam with w -= lr * weight_decay * w instead of L2. Throws as Adam does.
// https://pytorch.org/docs/stable/generated/torch.optim.AdamW.html
class AdamW : public Optimizer {
 public:
  explicit AdamW(const ParamGroups& groups, const AdamOptions& options = {});
};

}  // namespace gradwalk
