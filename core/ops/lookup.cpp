// Lookup in a table, and its adjoint.
#include "core/ops/lookup.hpp"

#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
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

constexpr std::size_t kLine = 64 / sizeof(Real);

SummedRows::SummedRows(RowSparse g)
    : g_(std::move(g)),
      rows_(g_.rows),
      width_(rows_.size() == 0 ? 0 : g_.values.size() / rows_.size()),
      values_(g_.values.value().data()) {  // now, as a table may catch up when it is read
  if (!g_.checked) check_ids("coalesce", g_.rows, g_.num_rows);
  const std::size_t n = g_.rows.size(), most = in_parallel() ? 1 : num_threads();
  parts_ = std::clamp<std::size_t>(n * width_ / kernels::kGrain, 1, most);
  order_.resize(n);
  if (g_.coalesced) {
    start_.resize(n + 1);
    std::iota(start_.begin(), start_.end(), std::size_t{0});
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    return;
  }
  auto [unique, inverse] = unique_rows(g_.rows, g_.num_rows);
  totals_.resize(parts_ * (width_ + kLine));
  // Counting sort: start_[k + 1] is at first where row k begins; each of its blocks moves it on, so
  // that at last it is where row k + 1 begins.
  start_.assign(unique.size() + 2, 0);
  for (const std::int64_t k : inverse) ++start_[static_cast<std::size_t>(k) + 2];
  std::partial_sum(start_.begin(), start_.end(), start_.begin());
  for (std::size_t i = 0; i < n; ++i)
    order_[start_[static_cast<std::size_t>(inverse.data()[i]) + 1]++] = i;
  start_.pop_back();
  rows_ = std::move(unique);
}

void SummedRows::each(const std::function<void(std::size_t k, const Real* sum)>& f) {
  // A block costs its addition, a row what f does with it, in memory that is often far away: about
  // as much as kRow blocks. Frequent rows come first, so equal numbers of either were unfair.
  constexpr std::size_t kRow = 3;
  const std::size_t num_rows = rows_.size(), work = order_.size() + kRow * num_rows;
  const auto sum_part = [&](std::size_t part) {
    const auto at_work = [&](std::size_t cost) {  // the first row with so much before it
      return static_cast<std::size_t>(
          std::lower_bound(start_.begin(), start_.end() - 1, cost,
                           [&](const std::size_t& begin, std::size_t least) {
                             const auto k = static_cast<std::size_t>(&begin - start_.data());
                             return begin + kRow * k < least;
                           }) -
          start_.begin());
    };
    const std::size_t end = at_work(work * (part + 1) / parts_);
    for (std::size_t k = at_work(work * part / parts_); k < end; ++k) {
      const Real* sum = values_ + order_[start_[k]] * width_;
      if (start_[k + 1] - start_[k] > 1) {
        Real* total = totals_.data() + part * (width_ + kLine);
        std::copy_n(sum, width_, total);
        for (std::size_t i = start_[k] + 1; i < start_[k + 1]; ++i)
          kernels::add(width_, values_ + order_[i] * width_, total);
        sum = total;
      }
      f(k, sum);
    }
  };
  parallel(parts_, std::ref(sum_part));  // by reference, as a copy would be allocated
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
