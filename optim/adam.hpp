// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  // Adam: L2, g += weight_decay * w; AdamW: w -= lr * weight_decay * w
  SparsePolicy policy = SparsePolicy::kLazy;
};

// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
// w -= lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), t counting steps, for all rows alike
// https://pytorch.org/docs/stable/generated/torch.optim.Adam.html
// Lazy rows divide by (sqrt(v) + eps) / sqrt(1 - beta2^t) instead, as torch.optim.SparseAdam does.
class Adam : public Optimizer {
 public:
  explicit Adam(std::vector<Tensor> parameters, AdamOptions options = {})
      : Adam(std::move(parameters), options, false) {}

 protected:
  Adam(std::vector<Tensor> parameters, AdamOptions options, bool decoupled);

 private:
  void begin_step() override;
  void update(std::size_t k, std::size_t at, std::size_t n, Real* w, const Real* g,
              bool lazy) override;
  AdamOptions options_;
  bool decoupled_;
  double t_ = 0;   // steps so far
  Real rate_ = 0;  // lr / (1 - beta1^t)
  Real root_ = 0;  // 1 / sqrt(1 - beta2^t)
  std::vector<State> m_, v_;
};

// https://pytorch.org/docs/stable/generated/torch.optim.AdamW.html (set weight_decay; there it is
// 0.01 by default, here as well)
class AdamW : public Adam {
 public:
  explicit AdamW(std::vector<Tensor> parameters, AdamOptions options = with_decay())
      : Adam(std::move(parameters), options, true) {}

 private:
  static AdamOptions with_decay();
};

}  // namespace gradwalk
