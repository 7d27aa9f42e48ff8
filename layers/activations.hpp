// Activations as modules, for Sequential; elsewhere the functions in core/ops.hpp do. x is of any
// shape and y of the same; nothing throws but an undefined x (std::logic_error).
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

// y = max(x, 0)
// https://pytorch.org/docs/stable/generated/torch.nn.ReLU.html
struct ReLU : Module {
  Tensor operator()(const Tensor& x) const { return relu(x); }
};
// y = tanh(x)
// https://pytorch.org/docs/stable/generated/torch.nn.Tanh.html
struct Tanh : Module {
  Tensor operator()(const Tensor& x) const { return tanh(x); }
};
// y = 1 / (1 + e^-x)
// https://pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
struct Sigmoid : Module {
  Tensor operator()(const Tensor& x) const { return sigmoid(x); }
};

}  // namespace gradwalk
