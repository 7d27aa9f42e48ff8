// Is a derivative right? Compares what the engine says with finite differences. It multiplies and
// adds up in loops of its own, so that a broken op is reported as what it is.
#pragma once

#include <functional>
#include <string>

#include "core/random.hpp"
#include "core/tensor.hpp"

namespace gradwalk {

struct GradcheckOptions {
  int order = 2;                        // 1: only the gradient; 2: also the gradient's own
  Generator* generator = nullptr;       // that f draws from: each call starts with it as it is now
  std::vector<std::string> names = {};  // of the leaves, for messages
};

// f computes a tensor of any shape from `leaves`; F = sum of c * f() with a random c. Along a
// direction u of each leaf x, random but for its signs, compares <dF/dx, u> with
//   (F(x + eps u) - F(x - eps u)) / (2 eps),   eps 1e-5, in float 1e-2
// to a relative error of 1e-6. Order 2 does the same under create_graph, and to 1e-5 for the
// gradient's own derivative, with respect to the leaves and to c. In float, whose differences are
// rough, 2e-2 and 5e-2 are allowed. Every element of a leaf is moved, those that f does not read
// included, and put back. Keep leaves further than eps away from kinks.
//
// Throws std::runtime_error that names the op whose rule is wrong, the leaf and its worst element
// with both numbers; std::invalid_argument if there are no leaves, if f does not depend on one of
// them, or if f() is not the same twice.
// https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
void check_gradients(const std::function<Tensor()>& f, const Tensors& leaves,
                     const GradcheckOptions& options = {});

// The same for f(xs), where xs are leaves with the values of `inputs`.
void check_gradients(const std::function<Tensor(const Tensors&)>& f,
                     const std::vector<Array>& inputs, const GradcheckOptions& options = {});

// For an op: f(xs) must also be `expected`, numbers that were worked out by hand, to 1e-12, in
// float 1e-5: a rule may agree with a wrong formula. Throws std::runtime_error if it is not, or if
// f changes an input; and what check_gradients() throws.
void check_op(const std::function<Tensor(const Tensors&)>& f, const std::vector<Array>& inputs,
              const Array& expected, const GradcheckOptions& options = {});

}  // namespace gradwalk
