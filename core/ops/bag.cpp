// Lookups that are reduced as they are read.
#include <algorithm>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/machine/loop.hpp"
#include "core/ops.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {
namespace {

RowPairs checked(const char* op, const Tensor& x, const Indices& in, const Indices& out,
                 std::size_t num_out) {
  check(x.dim() == 2, op, ": needs a table [R, D], got ", x.shape());
  check(in.dimension() == 1 && in.shape() == out.shape(), op,
        ": needs two lists of equally many rows, got ", in.shape(), " and ", out.shape());
  check_ids(op, in, x.shape(0));
  check_ids(op, out, num_out);
  return {in, out, x.shape(0), num_out};
}

// The rows of x that a list names: [i] is the first number of row rows[i].
class Rows {
 public:
  Rows(const Tensor& x, const Indices& rows)
      : data_(x.value(rows).data()), rows_(rows.data()), width_(x.shape(1)) {}
  const Real* operator[](std::size_t i) const {
    return data_ + static_cast<std::size_t>(rows_[i]) * width_;
  }
  void prefetch(std::size_t i, std::size_t n) const {
    kernels::prefetch_row(i, n, width_, rows_, data_);
  }

 private:
  const Real* data_;
  const std::int64_t* rows_;
  std::size_t width_;
};

// dL/dtable where row in[i], times w[i], went into row out[i] of what has the gradient dy
Gradient table_gradient(const RowPairs& pairs, const Tensor& dy, const Tensor& w,
                        const LookupOptions& options) {
  const Tensor share = options.scale_grad_by_freq ? w * inverse_counts(pairs.in, pairs.num_in) : w;
  auto [unique, inverse] = unique_rows(pairs.in, pairs.num_in);
  const RowPairs back{pairs.out, std::move(inverse), pairs.num_out, unique.size()};
  const Tensor values = weighted_checked(dy, back, share);
  return RowSparse{std::move(unique), values, pairs.num_in, true, true, !options.sparse};
}

Tensor dots_checked(const Tensor& a, const Tensor& b, const RowPairs& pairs,
                    const LookupOptions& options) {
  Array y = empty({pairs.in.size()});
  const Rows rows_a(a, pairs.in), rows_b(b, pairs.out);
  const std::size_t width = a.shape(1);
  parallel_ranges(y.size(), kernels::kGrain / (width + 1), [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      y.data()[i] = kernels::dot(width, rows_a[i], rows_b[i]);
  });
  return record("row_dots", {a, b}, std::move(y),
                [a, b, pairs, options](const Tensor&, const Tensor& dy) -> Gradients {
                  Gradients d(2);
                  LookupOptions for_b = options;
                  for_b.scale_grad_by_freq = false;
                  if (a.requires_grad()) d[0] = table_gradient(pairs, b, dy, options);
                  if (b.requires_grad()) d[1] = table_gradient(pairs.reversed(), a, dy, for_b);
                  return d;
                });
}

}  // namespace

Tensor weighted_rows(const Tensor& x, const Indices& in, const Indices& out, std::size_t num_out,
                     const Tensor& w, bool sparse, bool scale_grad_by_freq) {
  const RowPairs pairs = checked("weighted_rows", x, in, out, num_out);
  check(w.shape() == in.shape(), "weighted_rows: needs one weight for each row, got ", w.shape(),
        " and ", in.shape());
  return weighted_checked(x, pairs, w, {{}, sparse, scale_grad_by_freq});
}

Tensor weighted_checked(const Tensor& x, const RowPairs& pairs, const Tensor& w,
                        const LookupOptions& options) {
  const std::size_t width = x.shape(1), n = pairs.in.size();
  Array y = empty({pairs.num_out, width});
  const Rows from(x, pairs.in);
  const Real* c = w.value().data();
  const std::int64_t* to = pairs.out.data();
  for_sums(n, width, to, [&](std::size_t begin, std::size_t end, auto mine) {
    std::vector<bool> begun(pairs.num_out, false);
    const auto row_of = [&](std::size_t row) { return y.data() + row * width; };
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t row = static_cast<std::size_t>(to[i]);
      if (!mine(row)) continue;
      from.prefetch(i, n);
      if (!begun[row]) std::fill_n(row_of(row), width, Real(0));
      begun[row] = true;
      kernels::add_scaled(width, c[i], from[i], row_of(row));
    }
    for (std::size_t row = 0; row < pairs.num_out; ++row)
      if (mine(row) && !begun[row]) std::fill_n(row_of(row), width, Real(0));
  });
  return record("weighted_rows", {x, w}, std::move(y),
                [x, w, pairs, options](const Tensor&, const Tensor& dy) -> Gradients {
                  Gradients d(2);
                  if (x.requires_grad()) d[0] = table_gradient(pairs, dy, w, options);
                  if (w.requires_grad()) d[1] = dots_checked(x, dy, pairs, options);
                  return d;
                });
}

Tensor row_dots(const Tensor& a, const Indices& ia, const Tensor& b, const Indices& ib, bool sparse,
                bool scale_grad_by_freq) {
  check(a.dim() == 2 && b.dim() == 2 && a.shape(1) == b.shape(1),
        "row_dots: needs tables with rows of one width, got ", a.shape(), " and ", b.shape());
  const RowPairs pairs = checked("row_dots", a, ia, ib, b.shape(0));
  return dots_checked(a, b, pairs, {{}, sparse, scale_grad_by_freq});
}

Tensor max_rows(const Tensor& x, const Indices& in, const Indices& out, std::size_t num_out,
                bool sparse, bool scale_grad_by_freq) {
  const RowPairs pairs = checked("max_rows", x, in, out, num_out);
  return max_checked(x, pairs, {{}, sparse, scale_grad_by_freq});
}

Tensor max_checked(const Tensor& x, const RowPairs& pairs, const LookupOptions& options) {
  const std::size_t width = x.shape(1);
  Array y = full({pairs.num_out, width}, 0);
  Indices winner = full<Indices>({pairs.num_out, width}, -1);  // the i that each element came from
  const Rows rows(x, pairs.in);
  for (std::size_t i = 0; i < pairs.in.size(); ++i) {
    const std::size_t at = static_cast<std::size_t>(pairs.out.data()[i]) * width;
    const Real* from = rows[i];
    for (std::size_t d = 0; d < width; ++d) {
      Real& best = y.data()[at + d];
      std::int64_t& who = winner.data()[at + d];
      // the first among equals; a NaN comes in, and stays
      if (who < 0 || (!(from[d] <= best) && best == best)) {
        best = from[d];
        who = static_cast<std::int64_t>(i);
      }
    }
  }
  return record("max_rows", {x}, std::move(y),
                [pairs, options, width, winner = SharedIndices(std::move(winner))](
                    const Tensor&, const Tensor& dy) -> Gradients {
                  const std::size_t num_rows = pairs.num_in;
                  const Indices filled = positions_without(-1, winner), won = take(winner, filled);
                  Tensor g = gather_rows(reshape(dy, {dy.size()}), filled);
                  if (options.scale_grad_by_freq)
                    g = g * gather_rows(inverse_counts(pairs.in, num_rows), won);
                  // dL/dx: each element of g goes to its own column of the row that won it
                  const auto [unique, inverse] = unique_rows(take(pairs.in, won), num_rows);
                  Indices to = inverse;
                  for (std::size_t k = 0; k < to.size(); ++k)
                    to.data()[k] = inverse.data()[k] * static_cast<std::int64_t>(width) +
                                   filled.data()[k] % static_cast<std::int64_t>(width);
                  const Tensor sums = scatter_rows(g, to, unique.size() * width);
                  const Tensor values = reshape(sums, {unique.size(), width});
                  return {RowSparse{unique, values, num_rows, true, true, !options.sparse}};
                });
}

}  // namespace gradwalk
