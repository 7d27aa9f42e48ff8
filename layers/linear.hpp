// A fully connected layer.
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

// y[..., out_features] = x[..., in_features] . weight[out_features, in_features]^T +
// bias[out_features], all ~ U(-k, k), k = 1/sqrt(in_features)
// https://pytorch.org/docs/stable/generated/torch.nn.Linear.html
class Linear : public Module {
 public:
  Linear(std::size_t in_features, std::size_t out_features, Generator& generator, bool bias = true);
  Tensor operator()(const Tensor& x) const { return linear(x, weight_, bias_); }

 private:
  Tensor weight_, bias_;
};

}  // namespace gradwalk
