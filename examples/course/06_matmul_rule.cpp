// Chapter 3, matrix products.
//
//   y[n, m] = sum over k of a[n, k] * b[k, m]      a [N, K], b [K, M], y [N, M]
// Its rule gets dy [N, M] and returns dL/da [N, K] and dL/db [K, M]. Each is a
// matrix product, too. The shapes leave only one way to multiply, but for square
// matrices: there they do not help.
//   matmul(a, b) multiplies, transpose(a) exchanges rows and columns
// In the code base: core/ops/matmul.cpp.
#include "core/ops.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
Gradients matmul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  todo("matmul_rule must return {dL/da, dL/db}");
}
// ---- end of your part ----
