// Lookup in a table, and its adjoint.
#include "core/ops/lookup.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops.hpp"
#include "core/ops/broadcast.hpp"

namespace gradwalk {

void check_ids(const char* op, const Indices& ids, std::size_t num_rows) {
  const std::int64_t* const end = ids.data() + ids.size();
  // a negative id is huge when read as unsigned
  const std::int64_t* bad = std::find_if(
      ids.data(), end, [=](std::int64_t id) { return static_cast<std::uint64_t>(id) >= num_rows; });
  if (bad == end) return;
  const Shape position = index_of(static_cast<std::size_t>(bad - ids.data()), ids.shape());
  throw std::out_of_range(message(op, ": index ", *bad, " at ", position, " is outside a table of ",
                                  num_rows, " rows"));
}

UniqueRows unique_rows(const Indices& ids, std::size_t num_rows) {
  // slot[k] is a position in `unique`, or -1: one slot for each row. For a table of more rows than
  // that four for each id, so that a call pays only for its ids: an id then has the first slot from
  // its hash on that is free or its own.
  const std::size_t n = ids.size(), size = std::min(num_rows, 4 * n);
  std::vector<std::int32_t, Allocator<std::int32_t>> slot(size, -1);
  std::vector<std::int64_t> unique;
  unique.reserve(n);
  Indices inverse = empty<Indices>({n});
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t id = ids.data()[i];
    std::size_t k = static_cast<std::size_t>(id);
    if (size < num_rows) {
      k = (k * 0x9e3779b97f4a7c15 >> 32) * size >> 32;  // 2^64 / golden ratio spreads neighbours
      while (slot[k] >= 0 && unique[static_cast<std::size_t>(slot[k])] != id) k = (k + 1) % size;
    }
    if (slot[k] < 0) {
      slot[k] = static_cast<std::int32_t>(unique.size());
      unique.push_back(id);
    }
    inverse.data()[i] = slot[k];
  }
  return {unique, std::move(inverse)};
}

Indices positions_without(std::int64_t id, const Indices& ids) {
  std::vector<std::int64_t> positions;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids.data()[i] != id) positions.push_back(static_cast<std::int64_t>(i));
  }
  return positions;
}

Indices take(const Indices& ids, const Indices& positions) {
  Indices taken = empty<Indices>({positions.size()});
  for (std::size_t i = 0; i < positions.size(); ++i)
    taken.data()[i] = ids.data()[static_cast<std::size_t>(positions.data()[i])];
  return taken;
}

Tensor inverse_counts(const Indices& ids, std::size_t num_rows) {
  const auto [unique, inverse] = unique_rows(ids, num_rows);
  std::vector<std::size_t> count(unique.size(), 0);
  for (std::int64_t p : inverse) ++count[static_cast<std::size_t>(p)];
  Array y = empty({ids.size()});
  for (std::size_t i = 0; i < ids.size(); ++i)
    y.data()[i] = 1 / static_cast<Real>(count[static_cast<std::size_t>(inverse.data()[i])]);
  return Tensor(std::move(y));
}

Tensor gather_rows(const Tensor& table, const Indices& ids, std::optional<std::int64_t> padding_idx,
                   bool sparse, bool scale_grad_by_freq) {
  check(table.dim() >= 1, "gather_rows: the table must have rows, got shape ", table.shape());
  check_ids("gather_rows", ids, table.shape(0));
  if (padding_idx) check_ids("gather_rows: padding_idx", Indices{*padding_idx}, table.shape(0));
  return gather_checked(table, ids, {padding_idx, sparse, scale_grad_by_freq});
}

Tensor gather_checked(const Tensor& table, const SharedIndices& ids, const LookupOptions& options) {
  const std::size_t num_rows = table.shape(0), n = ids.size();
  const std::size_t width = num_rows == 0 ? 0 : table.size() / num_rows;
  Shape shape = ids.shape();
  for (std::size_t axis = 1; axis < table.dim(); ++axis) shape.push_back(table.shape(axis));
  Array y = empty(shape);
  kernels::gather_rows(n, width, ids.data(), table.value(ids).data(), y.data());
  if (options.zero_padding && options.padding_idx) {
    for (std::size_t i = 0; i < n; ++i) {
      if (ids.data()[i] == *options.padding_idx) std::fill_n(y.data() + i * width, width, Real(0));
    }
  }
  return record(
      "gather_rows", {table}, std::move(y),
      [ids, num_rows, n, options](const Tensor&, const Tensor& dy) -> Gradients {
        RowSparse d{ids, dy, num_rows, false, true};  // dL/dtable: dy, and where its rows go
        if (options.padding_idx) {
          const Indices kept = positions_without(*options.padding_idx, ids);
          if (kept.size() != n) {
            d.values = gather_rows(reshape(dy, d.shape_of_rows(n)), kept);
            d.rows = take(ids, kept);
          }
        }
        if (options.scale_grad_by_freq) {
          Shape column = d.rows.shape();
          while (column.size() < d.values.dim()) column.push_back(1);
          d.values = d.values * reshape(inverse_counts(d.rows, num_rows), column);
        }
        d.to_dense = !options.sparse;
        return {std::move(d)};
      });
}

Tensor scatter_rows(const Tensor& values, const Indices& rows, std::size_t num_rows) {
  const Shape& blocks = values.shape();
  check(rows.dimension() <= blocks.size() &&
            std::equal(rows.shape().begin(), rows.shape().end(), blocks.begin()),
        "scatter_rows: needs one row index for each block of values, got ", rows.shape(), " and ",
        blocks);
  check_ids("scatter_rows", rows, num_rows);
  Shape shape{num_rows};
  for (std::size_t axis = rows.dimension(); axis < blocks.size(); ++axis)
    shape.push_back(blocks[axis]);
  Array y = full(shape, 0);
  const std::size_t width = rows.size() == 0 ? 0 : values.size() / rows.size();
  kernels::scatter_add_rows(rows.size(), width, rows.data(), values.value().data(), y.data());
  return record("scatter_rows", {values}, std::move(y),
                [rows = SharedIndices(rows)](const Tensor&, const Tensor& dy) -> Gradients {
                  return {gather_checked(dy, rows)};  // dL/dvalues[i] = dy[rows[i]]
                });
}

}  // namespace gradwalk
