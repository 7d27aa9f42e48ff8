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
class Adam : public Optimizer {
 public:
  explicit Adam(std::vector<Tensor> parameters, AdamOptions options = {})
      : Adam(std::vector<ParamGroup>{{std::move(parameters)}}, options) {}
  explicit Adam(const std::vector<ParamGroup>& groups, AdamOptions options = {})
      : Adam(groups, options, false) {}
  ~Adam() override { settle(); }

 protected:
  Adam(const std::vector<ParamGroup>& groups, AdamOptions options, bool decoupled);

 private:
  void begin_step(std::size_t k, double lr, std::size_t t) override;
  void update(std::size_t k, std::size_t at, std::size_t n, Real* w, const Real* g,
              bool lazy) override;
  std::size_t replay_limit(std::size_t k, std::size_t at, std::size_t n) override;
  LinearStep missed_step(std::size_t k, double lr) const override;
  void skip(std::size_t k, std::size_t at, std::size_t n, Real* w, const LinearStep& together,
            std::size_t count) override;
  AdamOptions options_;
  bool decoupled_;
  Real rate_ = 0;  // lr / (1 - beta1^t)
  Real root_ = 0;  // 1 / sqrt(1 - beta2^t)
  Real keep_ = 1;  // 1 - lr * weight_decay, or 1
  std::vector<State> m_, v_;
};

// https://pytorch.org/docs/stable/generated/torch.optim.AdamW.html
class AdamW : public Adam {
 public:
  explicit AdamW(std::vector<Tensor> parameters, AdamOptions options = {})
      : AdamW(std::vector<ParamGroup>{{std::move(parameters)}}, options) {}
  explicit AdamW(const std::vector<ParamGroup>& groups, AdamOptions options = {})
      : Adam(groups, options, true) {}
};

}  // namespace gradwalk
