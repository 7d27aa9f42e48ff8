// Is a derivative right? Compares what the engine says with finite differences.
#pragma once

#include <functional>

#include "core/tensor.hpp"

namespace gradwalk {

// For f: tensors -> tensor of any shape, and F(x) = <c, f(x)> with a random cotangent c: along a
// random direction u of each input, compares <dF/dx, u> with (F(x + eps u) - F(x - eps u)) / (2
// eps), to a relative error of 1e-6. Order 2 does the same for the gradient's own derivative, with
// respect to the inputs and to c, to 1e-5. Every element of an input is perturbed, those that f
// does not read included. Keep inputs away from kinks by more than 1e-4. Throws std::runtime_error
// with both numbers; std::logic_error where Real is float, whose rounding would drown the
// differences.
void check_gradients(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                     const std::vector<Array>& inputs, int order = 2);

}  // namespace gradwalk
