// Chapter 1, tensors.
//
// An op is recorded with its rule. The rule gets dy = dL/dy, in the shape of y,
// and returns the gradient of each input, in the order of the inputs.
//   y = a * b      elementwise; a, b, y and dy have one shape
// Write the rule with ops, so that it can be differentiated again: tensors have
// + - * and /. In the code base: operator* in core/ops/elementwise.cpp.
#include "core/ops.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
Gradients mul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  todo("mul_rule must return {dL/da, dL/db}");
}
// ---- end of your part ----
