// Activations as modules, for Sequential; elsewhere the functions in core/ops.hpp do.
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

struct ReLU : Module {
  Tensor operator()(const Tensor& x) const { return relu(x); }
};
struct Tanh : Module {
  Tensor operator()(const Tensor& x) const { return tanh(x); }
};
struct Sigmoid : Module {
  Tensor operator()(const Tensor& x) const { return sigmoid(x); }
};

}  // namespace gradwalk
