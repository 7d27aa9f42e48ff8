// Activations as modules, for Sequential; elsewhere the functions in core/ops.hpp do.
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

// y = max(x, 0)
struct ReLU : Module {
  Tensor operator()(const Tensor& x) const { return relu(x); }
};
// y = tanh(x)
struct Tanh : Module {
  Tensor operator()(const Tensor& x) const { return tanh(x); }
};
// y = 1 / (1 + e^-x)
struct Sigmoid : Module {
  Tensor operator()(const Tensor& x) const { return sigmoid(x); }
};

}  // namespace gradwalk
