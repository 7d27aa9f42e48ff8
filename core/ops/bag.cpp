// Lookups that are reduced as they are read.
#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {
namespace {

void check_lists(const char* op, const Tensor& x, const Indices& in, const Indices& out,
                 std::size_t num_out) {
  check(x.dim() == 2, op, ": needs a table [R, D], got ", x.shape());
  check(in.dimension() == 1 && shape_of(in) == shape_of(out), op,
        ": needs two lists of equally many rows, got ", shape_of(in), " and ", shape_of(out));
  check_ids(op, in, x.shape(0));
  check_ids(op, out, num_out);
}

// The rows of x that a list names: [i] is the first number of row rows[i].
class Rows {
 public:
  Rows(const Tensor& x, const Indices& rows)
      : data_(x.value(rows).data()), rows_(rows.data()), width_(x.shape(1)) {}
  const Real* operator[](std::size_t i) const {
    return data_ + static_cast<std::size_t>(rows_[i]) * width_;
  }

 private:
  const Real* data_;
  const std::int64_t* rows_;
  std::size_t width_;
};

// dL/dtable where row in[i], times w[i], went into row out[i] of what has the gradient dy
Gradient table_gradient(const Tensor& table, const Indices& in, const Tensor& dy,
                        const Indices& out, const Tensor& w, bool sparse, bool scale_grad_by_freq) {
  if (!table.requires_grad()) return {};
  const std::size_t num_rows = table.shape(0);
  const Tensor share = scale_grad_by_freq ? w * inverse_counts(in, num_rows) : w;
  if (!sparse) return weighted_rows(dy, out, in, num_rows, share);
  const auto [unique, place] = find_places(in, num_rows);
  return RowSparse{unique, weighted_rows(dy, out, place, unique.size(), share), num_rows, true};
}

}  // namespace

Tensor weighted_rows(const Tensor& x, const Indices& in, const Indices& out, std::size_t num_out,
                     const Tensor& w, bool sparse, bool scale_grad_by_freq) {
  check_lists("weighted_rows", x, in, out, num_out);
  check(w.shape() == shape_of(in), "weighted_rows: needs one weight for each row, got ", w.shape(),
        " and ", shape_of(in));
  const std::size_t width = x.shape(1);
  Array y = full({num_out, width}, 0);
  const Rows from(x, in);
  for (std::size_t i = 0; i < in.size(); ++i) {
    kernels::add_scaled(width, w.value().data()[i], from[i],
                        y.data() + static_cast<std::size_t>(out.data()[i]) * width);
  }
  // Only dw reads x: without it a table may be changed in place before the way back.
  const bool weighs = w.requires_grad();
  return record(
      "weighted_rows", {x, w}, std::move(y),
      [=](const Tensor&, const Tensor& dy) -> Gradients {
        Gradient dw;
        if (weighs) dw = row_dots(x, in, dy, out, sparse, scale_grad_by_freq);
        return {table_gradient(x, in, dy, out, w, sparse, scale_grad_by_freq), dw};
      },
      weighs ? Axes{} : Axes{0});
}

Tensor row_dots(const Tensor& a, const Indices& ia, const Tensor& b, const Indices& ib, bool sparse,
                bool scale_grad_by_freq) {
  check(a.dim() == 2 && b.dim() == 2 && a.shape(1) == b.shape(1),
        "row_dots: needs tables with rows of one width, got ", a.shape(), " and ", b.shape());
  check_lists("row_dots", a, ia, ib, b.shape(0));
  Array y = empty({ia.size()});
  const Rows rows_a(a, ia), rows_b(b, ib);
  for (std::size_t i = 0; i < y.size(); ++i)
    y.data()[i] = kernels::dot(a.shape(1), rows_a[i], rows_b[i]);
  return record("row_dots", {a, b}, std::move(y),
                [=](const Tensor&, const Tensor& dy) -> Gradients {
                  return {table_gradient(a, ia, b, ib, dy, sparse, scale_grad_by_freq),
                          table_gradient(b, ib, a, ia, dy, sparse, false)};
                });
}

Tensor max_rows(const Tensor& x, const Indices& in, const Indices& out, std::size_t num_out,
                bool sparse, bool scale_grad_by_freq) {
  check_lists("max_rows", x, in, out, num_out);
  const std::size_t num_rows = x.shape(0), width = x.shape(1);
  Array y = full({num_out, width}, 0);
  Indices winner = full<Indices>({num_out, width}, -1);  // the i that each element came from
  const Rows rows(x, in);
  for (std::size_t i = 0; i < in.size(); ++i) {
    const std::size_t at = static_cast<std::size_t>(out.data()[i]) * width;
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
                [=](const Tensor&, const Tensor& dy) -> Gradients {
                  const Indices filled = places_without(-1, winner), won = pick(winner, filled);
                  Tensor g = gather_rows(reshape(dy, {dy.size()}), filled);
                  if (scale_grad_by_freq) g = g * gather_rows(inverse_counts(in, num_rows), won);
                  // dL/dx: each element of g goes to its own column of the row that won it
                  const auto [unique, place] = find_places(pick(in, won), num_rows);
                  Indices to = place;
                  for (std::size_t k = 0; k < to.size(); ++k)
                    to.data()[k] = place.data()[k] * static_cast<std::int64_t>(width) +
                                   filled.data()[k] % static_cast<std::int64_t>(width);
                  const Tensor rows = scatter_rows(g, to, unique.size() * width);
                  const Tensor values = reshape(rows, {unique.size(), width});
                  if (!sparse) return {scatter_rows(values, unique, num_rows)};
                  return {RowSparse{unique, values, num_rows, true}};
                },
                {0});
}

}  // namespace gradwalk
