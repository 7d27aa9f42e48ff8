// What a gradient is. The gradient of an embedding table is zero but for the rows that were looked
// up, so it is kept as those rows (RowSparse in tensor.hpp): nothing of the table's size is
// allocated, filled or swept.
//
//   lookup of ids [n]   ->  rows = ids, values = dy      as it comes: rows may repeat
//   sparse + sparse     ->  one list after the other     coalesced if that would outgrow the table
//   sparse + dense      ->  dense
//   before anything non-linear (norms, momentum, Adam)   coalesce: repeated rows are added up
//   before a rule that is not a leaf's                   densify
#pragma once

#include <iosfwd>

#include "core/tensor.hpp"

namespace gradwalk {

// into += g. Adds in place where nobody else holds the buffer; under create_graph the sum is an op
// like any other.
void accumulate(Gradient& into, Gradient g);

// The same gradient with each row once, in order of first appearance: O(n), without sorting.
RowSparse coalesce(const RowSparse& g);

// The gradient as one dense tensor, [num_rows, ...] for sparse rows; differentiable. None throws.
Tensor dense(const Gradient& g);

// sqrt of the sum of squares, repeated rows added up first; 0 for none.
double norm(const Gradient& g);

// What a gradient is made of; nothing but zeros for none.
struct GradientSummary {
  bool sparse = false;
  std::size_t rows = 0;         // as they came; rows - distinct of them are repeated
  std::size_t distinct = 0;     // different ones
  std::size_t num_rows = 0;     // of the table
  std::size_t bytes = 0;        // of the gradient, ids included
  std::size_t dense_bytes = 0;  // of the same gradient as one dense tensor
  std::vector<std::pair<std::int64_t, std::size_t>> frequent;  // id and how often it came
};

// `top` is how many of the most frequent ids are named, the smaller id first among equals.
GradientSummary describe(const Gradient& g, std::size_t top = 5);

// 4 rows of 10, 3 distinct, 1 repeated; 80 bytes instead of 120; most frequent: 2 (2 times), 0, 7
std::ostream& operator<<(std::ostream& out, const GradientSummary& summary);

}  // namespace gradwalk
