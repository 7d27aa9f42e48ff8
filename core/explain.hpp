// Where one number of a gradient comes from. A rule is linear in dy: called with all of dy but one
// element set to zero, it tells what that element contributes, for any op, a user's own included.
// The contributions add up to the number, and each element of dy can be asked the same question.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <vector>

#include "core/tensor.hpp"

namespace gradwalk {

// What elements of one op's dy, begin .. end - 1 in row-major order, contribute.
struct Contribution {
  Tensor y;            // the op's output
  std::size_t output;  // which, of an op with several
  Shape shape;         // of that output
  std::size_t begin, end;
  double dy;      // the element's own gradient; of several, their norm
  double amount;  // what arrives of it
};

// One number, and what it is the sum of: ops in the order they had their turn, within each the
// largest contribution first.
struct ExplainedNumber {
  Tensor x;
  std::size_t output = 0;
  Shape index;
  double gradient = 0;
  std::vector<Contribution> parts;
  std::vector<Shape> lookups;  // where the row was looked up, if x is a table
};

struct Explanation {
  std::vector<ExplainedNumber> steps;  // the leaf's, then the largest part's, and so on to the loss
  double gradient = 0;                 // what the engine says; rules that are linear add up to it
  std::optional<double> difference;    // (L(x + eps) - L(x - eps)) / (2 eps); none if L is random
  std::size_t width = 4;               // parts of each op that are printed
};

struct ExplainOptions {
  std::size_t depth = 6, width = 4;
  std::size_t most = 256;  // elements of a dy that are asked one by one; else rows, or more at once
};

// Where dloss/dx[index] comes from; the graph is kept. Throws std::out_of_range if index is outside
// x, and what gradients() throws. The second computes the loss itself and adds the finite
// difference.
Explanation explain(const Tensor& loss, const Tensor& x, const Shape& index,
                    const ExplainOptions& options = {});
Explanation explain(const std::function<Tensor()>& loss, Tensor x, const Shape& index,
                    const ExplainOptions& options = {});

// In float the finite difference is good for two or three digits, and is marked as rough.
std::ostream& operator<<(std::ostream& out, const Explanation& explanation);

}  // namespace gradwalk
