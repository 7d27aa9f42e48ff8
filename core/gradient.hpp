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

#include "core/tensor.hpp"

namespace gradwalk {

// into += g. Adds in place where nobody else holds the buffer; under create_graph the sum is an op
// like any other.
void accumulate(Gradient& into, Gradient g);

// Each id once, in order of first appearance, and for each entry of ids its place among them: O(n)
// through a table of slots, without sorting. The ids must be within 0..num_rows-1.
struct Places {
  Indices unique;
  Indices place;
};
Places find_places(const Indices& ids, std::size_t num_rows);

// The same gradient with each row once, in order of first appearance.
RowSparse coalesce(const RowSparse& g);

// The gradient as one dense tensor, [num_rows, ...] for sparse rows; differentiable. None throws.
Tensor dense(const Gradient& g);

// sqrt of the sum of squares, repeated rows added up first; 0 for none.
double norm(const Gradient& g);

}  // namespace gradwalk
