// Lookup in a table, and its adjoint.
#include "core/ops/lookup.hpp"

#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops.hpp"

namespace gradwalk {

void check_ids(const char* op, const Indices& ids, std::size_t num_rows) {
  const std::int64_t* const end = ids.data() + ids.size();
  // a negative id is huge when read as unsigned
  const std::int64_t* bad = std::find_if(
      ids.data(), end, [=](std::int64_t id) { return static_cast<std::uint64_t>(id) >= num_rows; });
  if (bad == end) return;
  std::size_t at = static_cast<std::size_t>(bad - ids.data());
  Shape position(ids.dimension());
  for (std::size_t axis = position.size(); axis-- > 0;) {
    position[axis] = at % ids.shape()[axis];
    at /= ids.shape()[axis];
  }
  throw std::out_of_range(message(op, ": index ", *bad, " at ", position, " is outside a table of ",
                                  num_rows, " rows"));
}

Places find_places(const Indices& ids, std::size_t num_rows) {
  // slot[row] is the row's place in `unique`, or -1. The table outlives the call, grows to the
  // largest num_rows seen and is left all -1, so that no call pays for more than the rows it touches.
  thread_local std::vector<std::int32_t, Allocator<std::int32_t>> slot;
  if (slot.size() < num_rows) slot.resize(num_rows, -1);
  const std::size_t n = ids.size();
  std::vector<std::int64_t> unique;
  unique.reserve(n);  // nothing may throw while slots are set
  Indices place = empty<Indices>({n});
  for (std::size_t i = 0; i < n; ++i) {
    std::int32_t& s = slot[static_cast<std::size_t>(ids.data()[i])];
    if (s < 0) {
      s = static_cast<std::int32_t>(unique.size());
      unique.push_back(ids.data()[i]);
    }
    place.data()[i] = s;
  }
  for (std::int64_t row : unique) slot[static_cast<std::size_t>(row)] = -1;
  Places found{empty<Indices>({unique.size()}), std::move(place)};
  std::copy(unique.begin(), unique.end(), found.unique.data());
  return found;
}

Indices places_without(std::int64_t id, const Indices& ids) {
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids.data()[i] != id) kept.push_back(static_cast<std::int64_t>(i));
  }
  Indices places = empty<Indices>({kept.size()});
  std::copy(kept.begin(), kept.end(), places.data());
  return places;
}

Indices pick(const Indices& ids, const Indices& places) {
  Indices picked = empty<Indices>({places.size()});
  for (std::size_t i = 0; i < places.size(); ++i)
    picked.data()[i] = ids.data()[static_cast<std::size_t>(places.data()[i])];
  return picked;
}

Tensor inverse_counts(const Indices& ids, std::size_t num_rows) {
  const auto [unique, place] = find_places(ids, num_rows);
  std::vector<std::size_t> count(unique.size(), 0);
  for (std::int64_t p : place) ++count[static_cast<std::size_t>(p)];
  Array inverse = empty({ids.size()});
  for (std::size_t i = 0; i < ids.size(); ++i)
    inverse.data()[i] = 1 / static_cast<Real>(count[static_cast<std::size_t>(place.data()[i])]);
  return Tensor(std::move(inverse));
}

Tensor gather_rows(const Tensor& table, const Indices& ids, std::optional<std::int64_t> padding_idx,
                   bool sparse, bool scale_grad_by_freq) {
  check(table.dim() >= 1, "embedding: the table must have rows, got shape ", table.shape());
  const std::size_t num_rows = table.shape(0), n = ids.size();
  check_ids("embedding", ids, num_rows);
  Shape row = table.shape(), shape = shape_of(ids);
  row.erase(row.begin());
  shape.insert(shape.end(), row.begin(), row.end());
  Array y = empty(shape);
  kernels::gather_rows(n, size_of(row), ids.data(), table.value(ids).data(), y.data());

  return record(
      "gather_rows", {table}, std::move(y),
      [=](const Tensor&, const Tensor& dy) -> Gradients {
        RowSparse d{ids, dy, num_rows};  // dL/dtable: dy, tagged with where its rows go
        if (padding_idx) {
          const Indices kept = places_without(*padding_idx, ids);
          if (kept.size() != n)
            d = {pick(ids, kept), gather_rows(reshape(dy, d.shape_of_rows(n)), kept), num_rows};
        }
        if (scale_grad_by_freq) {
          Shape column = shape_of(d.rows);
          column.resize(d.values.dim(), 1);
          d.values = d.values * reshape(inverse_counts(d.rows, num_rows), column);
        }
        if (sparse) return {d};
        return {scatter_rows(d.values, d.rows, num_rows)};
      },
      {0});
}

Tensor scatter_rows(const Tensor& values, const Indices& rows, std::size_t num_rows) {
  const Shape blocks = values.shape();
  check(rows.dimension() <= blocks.size() &&
            std::equal(rows.shape().begin(), rows.shape().end(), blocks.begin()),
        "scatter_rows: needs one row index for each block of values, got ", shape_of(rows), " and ",
        blocks);
  check_ids("scatter_rows", rows, num_rows);
  Shape shape(blocks.begin() + static_cast<std::ptrdiff_t>(rows.dimension()), blocks.end());
  const std::size_t width = size_of(shape);
  shape.insert(shape.begin(), num_rows);
  Array y = full(shape, 0);
  kernels::scatter_add_rows(rows.size(), width, rows.data(), values.value().data(), y.data());
  return record("scatter_rows", {values}, std::move(y),
                [rows](const Tensor&, const Tensor& dy) -> Gradients {
                  return {gather_rows(dy, rows)};  // dL/dvalues[i] = dy[rows[i]]
                });
}

}  // namespace gradwalk
