#include "core/gradient.hpp"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {
namespace {

// Under create_graph sums and scatters are ops, to be differentiated again. Otherwise they are plain
// loops that no observer is told of: nothing that one throws can leave a sum half done.

// A gradient that only this handle holds may be added to in place: nobody can notice.
bool ours(const Tensor& t) { return t.node().use_count() == 1; }

Tensor add_dense(Tensor a, const Tensor& b) {
  if (grad_enabled()) return a + b;
  if (!ours(a)) a = a.detach();
  kernels::add(b.size(), b.value().data(), a.mutable_value().data());
  return a;
}

// a sparse gradient added into a dense one
Tensor add_rows(Tensor a, const RowSparse& b) {
  if (grad_enabled()) return a + dense(b);
  if (!ours(a)) a = a.detach();
  const std::size_t width = b.num_rows == 0 ? 0 : a.size() / b.num_rows;
  kernels::scatter_add_rows(b.rows.size(), width, b.rows.data(), b.values.value().data(),
                            a.mutable_value().data());
  return a;
}

RowSparse join(const RowSparse& a, const RowSparse& b) {
  RowSparse sum;
  sum.num_rows = a.num_rows;
  sum.rows = empty<Indices>({a.rows.size() + b.rows.size()});
  std::copy_n(a.rows.data(), a.rows.size(), sum.rows.data());
  std::copy_n(b.rows.data(), b.rows.size(), sum.rows.data() + a.rows.size());
  if (grad_enabled()) {
    sum.values = concat({reshape(a.values, a.shape_of_rows(a.rows.size())),
                         reshape(b.values, b.shape_of_rows(b.rows.size()))},
                        0);
  } else {
    Array values = empty(a.shape_of_rows(sum.rows.size()));
    const Array &first = a.values.value(), &second = b.values.value();
    std::copy_n(second.data(), second.size(),
                std::copy_n(first.data(), first.size(), values.data()));
    sum.values = Tensor(std::move(values));
  }
  return sum.rows.size() > sum.num_rows ? coalesce(sum) : sum;
}

}  // namespace

Shape RowSparse::shape_of_rows(std::size_t n) const {
  Shape shape = values.shape();
  shape.erase(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(rows.dimension()));
  shape.insert(shape.begin(), n);
  return shape;
}

void accumulate(Gradient& into, Gradient g) {
  if (std::holds_alternative<std::monostate>(g)) return;
  if (std::holds_alternative<std::monostate>(into)) {
    into = std::move(g);
    return;
  }
  auto* dense_into = std::get_if<Tensor>(&into);
  auto* dense_g = std::get_if<Tensor>(&g);
  if (dense_into && dense_g) {
    into = add_dense(std::move(*dense_into), *dense_g);
  } else if (dense_into) {
    into = add_rows(std::move(*dense_into), std::get<RowSparse>(g));
  } else if (dense_g) {
    into = add_rows(std::move(*dense_g), std::get<RowSparse>(into));
  } else {
    into = join(std::get<RowSparse>(into), std::get<RowSparse>(g));
  }
}

RowSparse coalesce(const RowSparse& g) {
  if (g.coalesced) return g;
  const auto [unique, place] = find_places(g.rows, g.num_rows);
  RowSparse sum;
  sum.rows = unique;
  if (grad_enabled()) {
    sum.values =
        scatter_rows(reshape(g.values, g.shape_of_rows(place.size())), place, unique.size());
  } else {
    Array values = empty(g.shape_of_rows(unique.size()));
    kernels::segment_sum(place.size(), g.rows.size() == 0 ? 0 : g.values.size() / g.rows.size(),
                         place.data(), g.values.value().data(), values.data());
    sum.values = Tensor(std::move(values));
  }
  sum.num_rows = g.num_rows;
  sum.coalesced = true;
  return sum;
}

Tensor dense(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g)) return *t;
  auto* s = std::get_if<RowSparse>(&g);
  check<std::logic_error>(s != nullptr,
                          "dense: there is no gradient; does the loss depend on this tensor?");
  if (grad_enabled()) return scatter_rows(s->values, s->rows, s->num_rows);
  return add_rows(Tensor(full(s->shape_of_rows(s->num_rows), 0)), *s);
}

double norm(const Gradient& g) {
  const NoGrad guard;
  if (std::holds_alternative<std::monostate>(g)) return 0;
  auto* s = std::get_if<RowSparse>(&g);
  const Tensor t = s ? coalesce(*s).values : std::get<Tensor>(g);
  return std::sqrt(kernels::sum_of_squares(t.size(), t.value().data()));
}

GradientSummary describe(const Gradient& g, std::size_t top) {
  GradientSummary summary;
  if (auto* t = std::get_if<Tensor>(&g)) {
    summary.num_rows = summary.rows = summary.distinct = t->dim() == 0 ? 1 : t->shape(0);
    summary.bytes = summary.dense_bytes = t->size() * sizeof(Real);
  } else if (auto* s = std::get_if<RowSparse>(&g)) {
    const auto [unique, place] = find_places(s->rows, s->num_rows);
    std::vector<std::pair<std::int64_t, std::size_t>> counts;
    for (std::int64_t row : unique) counts.emplace_back(row, 0);
    for (std::int64_t p : place) ++counts[static_cast<std::size_t>(p)].second;
    const auto end = counts.begin() + static_cast<std::ptrdiff_t>(std::min(top, counts.size()));
    std::partial_sort(counts.begin(), end, counts.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    const std::size_t row_bytes = size_of(s->shape_of_rows(1)) * sizeof(Real);
    summary.sparse = true;
    summary.rows = s->rows.size();
    summary.distinct = unique.size();
    summary.num_rows = s->num_rows;
    summary.bytes = summary.rows * (sizeof(std::int64_t) + row_bytes);
    summary.dense_bytes = summary.num_rows * row_bytes;
    summary.frequent.assign(counts.begin(), end);
  }
  return summary;
}

std::ostream& operator<<(std::ostream& out, const GradientSummary& s) {
  if (s.num_rows == 0) return out << "no gradient";
  if (!s.sparse) return out << "dense, " << s.num_rows << " rows; " << s.bytes << " bytes";
  out << s.rows << " rows of " << s.num_rows << ", " << s.distinct << " distinct, "
      << s.rows - s.distinct << " repeated; " << s.bytes << " bytes instead of " << s.dense_bytes;
  const char* separator = "; most frequent: ";
  for (const auto& [id, times] : s.frequent) {
    out << separator << id;
    if (times > 1) out << " (" << times << " times)";
    separator = ", ";
  }
  return out;
}

}  // namespace gradwalk
