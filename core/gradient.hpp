// What a gradient is. The gradient of an embedding table is zero except in the rows that were
// looked up, so it is kept as those rows: nothing of the table's size is allocated or filled.
//
//   lookup of ids [n]   ->  rows = ids, values = dy      as it comes: rows may repeat
//   sparse + sparse     ->  one list after the other     coalesced once it is twice the table
//   sparse + dense      ->  dense
//   before anything non-linear (norms, momentum, Adam)   coalesce: repeated rows are added up
//   as the dy of another rule (a table that was computed)   dense
//
// What adds up or reads rows throws std::out_of_range for one outside the table, and
// std::logic_error if gradients of different shapes meet.
#pragma once

#include <iosfwd>
#include <string>

#include "core/indices.hpp"
#include "core/tensor.hpp"

namespace gradwalk {

// Rows of a table's gradient: d table = sum_i e[rows[i]] (x) values[i]. Rows may repeat, in which
// case they add up.
struct RowSparse {
  SharedIndices rows;        // of any shape
  Tensor values;             // that shape and then a row's: one block for each entry of rows
  std::size_t num_rows = 0;  // rows of the table
  bool coalesced = false;    // no row occurs twice
  bool checked = false;      // rows are known to be within 0 .. num_rows - 1
  bool to_dense = false;     // dense once it has arrived, like a Slice: sparse = false asked for it

  Shape shape_of_rows(std::size_t n) const;  // n of them, one below the other
};

// What a rule returns for x [shape] if it has used only begin, begin + 1, ... along an axis: dy
// there, and zero elsewhere. It is dense once it has arrived.
struct Slice {
  Tensor dy;
  Shape shape;
  std::size_t axis, begin;
};

// The one place where gradients are added up. Numbers that nobody else holds are added to in place;
// under create_graph each sum is an op like any other.
class GradientSum {
 public:
  void add(Gradient g);
  Gradient take();  // the sum; none is left

 private:
  Gradient sum_;                 // but for rows_
  std::vector<RowSparse> rows_;  // joined at the end: each join copies them all
  std::size_t num_rows_ = 0;     // of rows_
};

// into += g, where `into` keeps numbers of its own: the .grad() of a leaf.
void accumulate(Gradient& into, Gradient g);

// The same gradient with each row once, in order of first appearance: O(n), without sorting.
// https://pytorch.org/docs/stable/generated/torch.Tensor.coalesce.html
RowSparse coalesce(const RowSparse& g);

// The gradient as one dense tensor, [num_rows, ...] for sparse rows; differentiable. None throws
// std::logic_error.
Tensor dense(const Gradient& g);

// sqrt of the sum of squares, repeated rows added up first; 0 for none.
double norm(const Gradient& g);

// The tensors that hold its numbers; none for none.
Tensors parts_of(const Gradient& g);

// Why g cannot be the gradient of a tensor of this shape, to follow "... got "; empty if it can.
// Ids outside the table throw std::out_of_range that names `op`.
std::string misfit(const char* op, const Gradient& g, const Shape& shape);

// Throws std::logic_error if the rule of a node returned anything but one gradient for each input.
void check_partials(const Node& node, const Gradients& partials);

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
