// A fully connected layer.
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

// y[..., out] = x[..., in] . weight[out, in]^T + bias[out]; weight and bias ~ U(-k, k),
// k = 1/sqrt(in), in = in_features, out = out_features
// The call throws std::invalid_argument if x does not end in in_features.
// https://pytorch.org/docs/stable/generated/torch.nn.Linear.html
class Linear : public Module {
 public:
  Linear(std::size_t in_features, std::size_t out_features, Generator& generator, bool bias = true);
  Tensor operator()(const Tensor& x) const { return linear(x, weight_, bias_); }

 private:
  Tensor weight_, bias_;
};

}  // namespace gradwalk
