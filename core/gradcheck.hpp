// Is a derivative right? Compares what the engine says with finite differences.
#pragma once

#include <functional>

#include "core/tensor.hpp"

namespace gradwalk {

// f computes a tensor of any shape from `leaves`; F = <c, f()> with a random cotangent c. Along a
// random direction u of each leaf x, compares <dF/dx, u> with
//   (F(x + eps u) - F(x - eps u)) / (2 eps)
// to a relative error of 1e-6. Order 2 does the same under create_graph, and to 1e-5 for the
// gradient's own derivative, with respect to the leaves and to c. Every element of a leaf is
// perturbed, those that f does not read included, and put back. Keep leaves away from kinks by more
// than 1e-4. Throws std::runtime_error with both numbers; std::logic_error where Real is float,
// whose rounding would drown the differences.
void check_gradients(const std::function<Tensor()>& f, const Tensors& leaves, int order = 2);

// The same for f(xs), where xs are leaves with the values of `inputs`.
void check_gradients(const std::function<Tensor(const Tensors&)>& f,
                     const std::vector<Array>& inputs, int order = 2);

}  // namespace gradwalk
