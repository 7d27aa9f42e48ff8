#include "core/gradient.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops.hpp"
#include "core/ops/broadcast.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {
namespace {

// Under create_graph sums and scatters are ops, to be differentiated again. Otherwise they are
// plain loops that no observer sees: nothing that one throws can leave a sum half done.

// The numbers of t, to be added to in place. If another handle holds them, a copy.
Tensor to_add_to(Tensor&& t) { return t.node().use_count() == 1 ? std::move(t) : t.detach(); }

void check_rows(const char* op, const RowSparse& g) {
  if (!g.checked) check_ids(op, g.rows, g.num_rows);
}

// A .grad() may have been set by hand.
void check_adds(const Shape& a, const Shape& b) {
  check<std::logic_error>(a == b, "accumulate: a gradient ", b, " cannot be added to one of shape ",
                          a);
}

Tensor add_dense(Tensor a, const Tensor& b) {
  check_adds(a.shape(), b.shape());
  if (grad_enabled()) return a + b;
  a = to_add_to(std::move(a));
  kernels::add(b.size(), b.value().data(), a.mutable_value().data());
  return a;
}

Tensor add_rows(Tensor a, const RowSparse& b) {
  check_adds(a.shape(), b.shape_of_rows(b.num_rows));
  check_rows("accumulate", b);
  if (grad_enabled()) return a + dense(b);
  a = to_add_to(std::move(a));
  const std::size_t width = b.num_rows == 0 ? 0 : a.size() / b.num_rows;
  kernels::scatter_add_rows(b.rows.size(), width, b.rows.data(), b.values.value().data(),
                            a.mutable_value().data());
  return a;
}

Tensor add_slice(Tensor a, const Slice& b) {
  check_adds(a.shape(), b.shape);
  if (grad_enabled()) return a + dense(b);
  a = to_add_to(std::move(a));
  // both as [outer, length along the axis * inner]
  const std::size_t inner = inner_size(b.shape, b.axis), to = b.shape[b.axis] * inner,
                    from = b.dy.shape(b.axis) * inner;
  if (b.dy.size() == 0) return a;
  Real* sum = a.mutable_value().data() + b.begin * inner;
  const Real* dy = b.dy.value().data();
  for (std::size_t i = 0; i < outer_size(b.shape, b.axis); ++i)
    kernels::add(from, dy + i * from, sum + i * to);
  return a;
}

bool slice_fits(const Slice& s) {
  if (!s.dy.defined() || s.axis >= s.shape.size() || s.dy.dim() != s.shape.size()) return false;
  Shape dy = s.shape;
  dy[s.axis] = s.dy.shape(s.axis);
  return dy == s.dy.shape() && s.begin <= s.shape[s.axis] &&
         dy[s.axis] <= s.shape[s.axis] - s.begin;
}

// One list after the other.
RowSparse join(const std::vector<RowSparse>& parts) {
  if (parts.size() == 1) return parts[0];
  std::size_t n = 0;
  for (const RowSparse& part : parts) n += part.rows.size();
  Indices rows = empty<Indices>({n});
  std::int64_t* row = rows.data();
  for (const RowSparse& part : parts) row = std::copy_n(part.rows.data(), part.rows.size(), row);
  Tensor values;
  if (grad_enabled()) {
    Tensors blocks;
    for (const RowSparse& part : parts)
      blocks.push_back(reshape(part.values, part.shape_of_rows(part.rows.size())));
    values = concat(blocks, 0);
  } else {
    Array all = empty(parts[0].shape_of_rows(n));
    Real* to = all.data();
    for (const RowSparse& part : parts)
      to = std::copy_n(part.values.value().data(), part.values.size(), to);
    values = Tensor(std::move(all));
  }
  return {std::move(rows), values, parts[0].num_rows, false, true};
}

}  // namespace

Shape RowSparse::shape_of_rows(std::size_t n) const {
  Shape shape{n};
  for (std::size_t i = rows.shape().size(); i < values.dim(); ++i) shape.push_back(values.shape(i));
  return shape;
}

void GradientSum::add(Gradient g) {
  Tensor* sum = std::get_if<Tensor>(&sum_);
  if (auto* d = std::get_if<Tensor>(&g)) {
    sum_ = sum ? add_dense(std::move(*sum), *d) : std::move(*d);
  } else if (auto* slice = std::get_if<Slice>(&g)) {
    if (sum == nullptr)
      sum_ = dense(*slice);
    else
      sum_ = add_slice(std::move(*sum), *slice);
  } else if (auto* outputs = std::get_if<Tensors>(&g)) {
    auto* all = std::get_if<Tensors>(&sum_);
    if (all == nullptr) all = &sum_.emplace<Tensors>(outputs->size());
    for (std::size_t k = 0; k < all->size(); ++k) {  // each output hands its own on once
      if ((*outputs)[k].defined()) (*all)[k] = (*outputs)[k];
    }
  } else if (auto* rows = std::get_if<RowSparse>(&g)) {
    check_rows("accumulate", *rows);
    if (sum != nullptr || rows->to_dense) {
      sum_ = sum ? add_rows(std::move(*sum), *rows) : dense(*rows);
      return;
    }
    if (!rows_.empty())
      check_adds(rows_[0].shape_of_rows(rows_[0].num_rows), rows->shape_of_rows(rows->num_rows));
    num_rows_ += rows->rows.size();
    rows_.push_back(std::move(*rows));
    if (rows_.size() > 1 && num_rows_ > 2 * rows_[0].num_rows) {
      rows_ = {coalesce(join(rows_))};
      num_rows_ = rows_[0].rows.size();
    }
  }
}

Gradient GradientSum::take() {
  if (!rows_.empty()) {
    if (auto* sum = std::get_if<Tensor>(&sum_)) {
      for (const RowSparse& rows : rows_) *sum = add_rows(std::move(*sum), rows);
    } else {
      sum_ = join(rows_);
    }
    rows_.clear();
  }
  return std::exchange(sum_, {});
}

void accumulate(Gradient& into, Gradient g) {
  GradientSum sum;
  sum.add(std::move(into));
  // Two leaves may have been handed the same tensor (as by `a + b`): each keeps its own numbers.
  if (auto* t = std::get_if<Tensor>(&g)) *t = to_add_to(std::move(*t));
  if (auto* s = std::get_if<RowSparse>(&g)) s->values = to_add_to(std::move(s->values));
  sum.add(std::move(g));
  into = sum.take();
}

RowSparse coalesce(const RowSparse& g) {
  check_rows("coalesce", g);
  if (g.coalesced) return g;
  if (grad_enabled()) {
    const auto [unique, inverse] = unique_rows(g.rows, g.num_rows);
    const Tensor blocks = reshape(g.values, g.shape_of_rows(inverse.size()));
    return {unique, scatter_rows(blocks, inverse, unique.size()), g.num_rows, true, true};
  }
  SummedRows once(g);
  Array sums = empty(g.shape_of_rows(once.rows().size()));
  const std::size_t width = once.rows().size() == 0 ? 0 : sums.size() / once.rows().size();
  once.each(
      [&](std::size_t k, const Real* sum) { std::copy_n(sum, width, sums.data() + k * width); });
  return {once.rows(), Tensor(std::move(sums)), g.num_rows, true, true};
}

Tensor dense(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g)) return *t;
  if (auto* slice = std::get_if<Slice>(&g)) {
    if (!grad_enabled()) return add_slice(Tensor(full(slice->shape, 0)), *slice);
    return pad(slice->dy, slice->axis, slice->begin,
               slice->shape[slice->axis] - slice->begin - slice->dy.shape(slice->axis));
  }
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
  if (auto* outputs = std::get_if<Tensors>(&g)) {
    double squares = 0;
    for (const Tensor& t : *outputs) squares += t.defined() ? std::pow(norm(t), 2) : 0;
    return std::sqrt(squares);
  }
  const Tensor t = s ? coalesce(*s).values : dense(g);
  return std::sqrt(kernels::sum_of_squares(t.size(), t.value().data()));
}

Tensors parts_of(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g)) return {*t};
  if (auto* s = std::get_if<RowSparse>(&g)) return {s->values};
  if (auto* s = std::get_if<Slice>(&g)) return {s->dy};
  auto* outputs = std::get_if<Tensors>(&g);
  return outputs ? *outputs : Tensors();
}

std::string misfit(const char* op, const Gradient& g, const Shape& shape) {
  if (auto* t = std::get_if<Tensor>(&g)) {
    if (!t->defined()) return "an undefined tensor";
    return t->shape() == shape ? "" : message("a gradient ", t->shape());
  }
  if (auto* slice = std::get_if<Slice>(&g))
    return slice_fits(*slice) && slice->shape == shape ? "" : message("a slice of ", slice->shape);
  auto* s = std::get_if<RowSparse>(&g);
  if (s == nullptr) return "";
  if (!s->values.defined()) return "an undefined tensor";
  const Shape &rows = s->rows.shape(), &values = s->values.shape();
  if (rows.size() > values.size() || !std::equal(rows.begin(), rows.end(), values.begin()))
    return message("rows ", rows, " with values ", values);
  check_rows(op, *s);
  const Shape whole = s->shape_of_rows(s->num_rows);
  return whole == shape ? "" : message("a gradient ", whole);
}

void check_partials(const Node& node, const Gradients& partials) {
  check<std::logic_error>(partials.size() == node.inputs.size(), "backward: the rule of '", node.op,
                          "' returned ", partials.size(), " gradients for ", node.inputs.size(),
                          " inputs");
  for (std::size_t i = 0; i < partials.size(); ++i) {
    const Shape& shape = node.inputs[i].shape();
    const bool list = std::holds_alternative<Tensors>(partials[i]);
    const std::string bad = list && !node.inputs[i].node()->rule_of_many
                                ? "a list of gradients"
                                : misfit(node.op, partials[i], shape);
    check<std::logic_error>(bad.empty(), "backward: the rule of '", node.op, "' returned ", bad,
                            " for its input ", i, ' ', shape);
  }
}

GradientSummary describe(const Gradient& g, std::size_t top) {
  GradientSummary summary;
  if (auto* t = std::get_if<Tensor>(&g)) {
    summary.num_rows = summary.rows = summary.distinct = t->dim() == 0 ? 1 : t->shape(0);
    summary.bytes = summary.dense_bytes = t->size() * sizeof(Real);
  } else if (auto* s = std::get_if<RowSparse>(&g)) {
    check_rows("describe", *s);
    const auto [unique, inverse] = unique_rows(s->rows, s->num_rows);
    std::vector<std::pair<std::int64_t, std::size_t>> counts;
    for (std::int64_t row : unique) counts.emplace_back(row, 0);
    for (std::int64_t p : inverse) ++counts[static_cast<std::size_t>(p)].second;
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

std::ostream& operator<<(std::ostream& stream, const GradientSummary& s) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  if (s.num_rows == 0) return stream << "no gradient";
  if (!s.sparse) return stream << message("dense, ", s.num_rows, " rows; ", s.bytes, " bytes");
  out << s.rows << " rows of " << s.num_rows << ", " << s.distinct << " distinct, "
      << s.rows - s.distinct << " repeated; " << s.bytes << " bytes instead of " << s.dense_bytes;
  const char* separator = "; most frequent: ";
  for (const auto& [id, times] : s.frequent) {
    out << separator << id;
    if (times > 1) out << " (" << times << " times)";
    separator = ", ";
  }
  return stream << out.str();
}

}  // namespace gradwalk
