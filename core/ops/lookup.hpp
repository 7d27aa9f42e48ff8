// What the ops and layers that look rows up share: loops over ids, without a graph.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/gradient.hpp"

namespace gradwalk {

// The first id outside the table throws std::out_of_range that says which, where, and how many rows
// there are.
void check_ids(const char* op, const Indices& ids, std::size_t num_rows);
// Each id once, in order of first appearance, and for each of ids its position among them: O(n)
// in time and memory, without sorting. Ids must be within 0 .. num_rows - 1.
struct UniqueRows {
  Indices unique, inverse;
};
UniqueRows unique_rows(const Indices& ids, std::size_t num_rows);
// the positions of ids, read in order, that hold something other than `id`
Indices positions_without(std::int64_t id, const Indices& ids);
// y[i] = ids[positions[i]], ids read in order
Indices take(const Indices& ids, const Indices& positions);
// y[i] = 1 / how often ids[i] occurs in ids
Tensor inverse_counts(const Indices& ids, std::size_t num_rows);

// What coalesce() returns, row by row, for those who need each sum once: no array of the sums is
// written, to be read again. A row outside the table throws std::out_of_range.
class SummedRows {
 public:
  explicit SummedRows(RowSparse g);
  const SharedIndices& rows() const { return rows_; }  // each once, in order of first appearance
  // Calls f(k, sum) for each k, in threads: the numbers for row rows()[k], which last until f
  // returns. Allocates nothing. Not by two threads at once.
  void each(const std::function<void(std::size_t k, const Real* sum)>& f);

 private:
  RowSparse g_;
  SharedIndices rows_;
  std::size_t width_, parts_;
  const Real* values_;
  // row rows()[k] is the sum of the blocks order_[i] of values, start_[k] <= i < start_[k + 1]
  std::vector<std::size_t> start_, order_;
  std::vector<Real> totals_;  // of each part a row, and a cache line to the next
};

struct LookupOptions {
  std::optional<std::int64_t> padding_idx = {};
  bool sparse = true, scale_grad_by_freq = false;
  bool zero_padding = false;  // y is zero, not the table's row, where ids hold padding_idx
};
// gather_rows() of ids that have been checked.
Tensor gather_checked(const Tensor& table, const SharedIndices& ids,
                      const LookupOptions& options = {});

// What goes where: row in[i] of a tensor with num_in rows into row out[i] of one with num_out.
struct RowPairs {
  SharedIndices in, out;
  std::size_t num_in, num_out;

  RowPairs reversed() const { return {out, in, num_out, num_in}; }  // what came goes back
};
// weighted_rows() and max_rows() of pairs that have been checked.
Tensor weighted_checked(const Tensor& x, const RowPairs& pairs, const Tensor& w,
                        const LookupOptions& options = {});
Tensor max_checked(const Tensor& x, const RowPairs& pairs, const LookupOptions& options = {});

}  // namespace gradwalk
