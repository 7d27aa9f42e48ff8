// Reductions. sum_to (shape.cpp) is the only loop that adds: the others are made of it.
#include <algorithm>
#include <limits>

#include "core/error.hpp"
#include "core/machine/fast_math.hpp"
#include "core/machine/loop.hpp"
#include "core/ops.hpp"
#include "core/ops/broadcast.hpp"

namespace gradwalk {
namespace {

// The shape of a reduction of x over some axes, with keepdim and without.
struct Reduced {
  Shape kept, squeezed;
};

Reduced reduced(const char* op, const Tensor& x, const Axes& axes) {
  Reduced shapes{x.shape(), {}};
  for (std::size_t axis : axes) {
    check<std::out_of_range>(axis < x.dim(), op, ": axis ", axis, " is outside ", x.shape());
    shapes.kept[axis] = 1;
  }
  for (std::size_t i = 0; i < x.dim(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) shapes.squeezed.push_back(x.shape(i));
  }
  return shapes;
}

// The same for ops that choose an element, and so need one.
Reduced chosen(const char* op, const Tensor& x, const Axes& axes) {
  Reduced shapes = reduced(op, x, axes);
  check(size_of(shapes.kept) == 0 || x.size() != 0, op, ": ", x.shape(),
        " has no elements to choose from");
  return shapes;
}

Axes all_axes(const Tensor& x) {
  Axes axes;
  for (std::size_t i = 0; i < x.dim(); ++i) axes.push_back(i);
  return axes;
}

// x as [outer, n, inner], where n is an axis of it.
struct Around {
  std::size_t outer, n, inner;
  Around(const char* op, const Tensor& x, std::size_t axis) {
    check<std::out_of_range>(axis < x.dim(), op, ": axis ", axis, " is outside ", x.shape());
    outer = outer_size(x.shape(), axis);
    n = x.shape(axis);
    inner = inner_size(x.shape(), axis);
  }
};

// f(y, dy, s) for each element, where s is the sum of term(y, dy) along the axis.
template <class Term, class F>
Tensor with_sums(const Around& size, const Tensor& y, const Tensor& dy, Term term, F f) {
  constexpr std::size_t kColumns = 64;
  const std::size_t n = size.n, inner = size.inner, blocks = (inner + kColumns - 1) / kColumns;
  Array d = empty(y.shape());
  const Real *ys = y.value().data(), *dys = dy.value().data();
  const auto block = [=, to = d.data()](std::size_t i) {  // of columns next to each other
    const std::size_t first = i % blocks * kColumns, at = i / blocks * n * inner + first;
    const Real *v = ys + at, *g = dys + at;
    Real* out = to + at;
    if (inner == 1) {
      const Real s = Real(sum_terms(0, n, [=](std::size_t k) { return term(v[k], g[k]); }));
      for (std::size_t k = 0; k < n; ++k) out[k] = f(v[k], g[k], s);
      return;
    }
    const std::size_t count = std::min(kColumns, inner - first);
    double sums[kColumns] = {};
    for (std::size_t k = 0; k < n * inner; k += inner) {
      for (std::size_t j = 0; j < count; ++j) sums[j] += term(v[k + j], g[k + j]);
    }
    for (std::size_t k = 0; k < n * inner; k += inner) {
      for (std::size_t j = 0; j < count; ++j) out[k + j] = f(v[k + j], g[k + j], Real(sums[j]));
    }
  };
  parallel_ranges(size.outer * blocks, kernels::kGrain / (n * std::min(inner, kColumns) + 1) + 1,
                  [&](std::size_t begin, std::size_t end) {
                    for (std::size_t i = begin; i < end; ++i) block(i);
                  });
  return Tensor(std::move(d));
}

}  // namespace

Tensor sum(const Tensor& x) { return sum_to(x, {}); }

Tensor sum(const Tensor& x, const Axes& axes, bool keepdim) {
  const Reduced shapes = reduced("sum", x, axes);
  const Tensor y = sum_to(x, shapes.kept);
  return keepdim ? y : reshape(y, shapes.squeezed);
}

Tensor mean(const Tensor& x) { return mean(x, all_axes(x)); }

Tensor mean(const Tensor& x, const Axes& axes, bool keepdim) {
  reduced("mean", x, axes);  // for an error that names mean
  const Tensor y = sum(x, axes, keepdim);
  check(y.size() == 0 || x.size() != 0, "mean: ", x.shape(), " has no elements to average");
  return y.size() == 0 ? y : y * (static_cast<Real>(y.size()) / static_cast<Real>(x.size()));
}

Tensor max(const Tensor& x) { return max(x, all_axes(x)); }

Tensor max(const Tensor& x, const Axes& axes, bool keepdim) {
  const Reduced shapes = chosen("max", x, axes);
  Array value = full(shapes.kept, -std::numeric_limits<Real>::infinity());
  const Real* in = x.value().data();
  for_each_run_into(
      {x.shape(), strides_in(shapes.kept, x.shape()), strides_in(x.shape(), x.shape())},
      [&](const Run& r) {
        Real* best = value.data() + r.ia;
        if (r.step_a == 1) {
          for (std::size_t k = 0; k < r.n; ++k) best[k] = kernels::maximum(best[k], in[r.ib + k]);
        } else {
          *best = kernels::maximum(*best, kernels::max(r.n, in + r.ib));
        }
      });
  const Tensor kept =
      record("max", {x}, std::move(value), [x](const Tensor& y, const Tensor& dy) -> Gradients {
        const Tensor winners(zip_broadcast("max", x.value(), y.value(),
                                           [](Real u, Real best) { return Real(u == best); }));
        return {
            winners *
            (dy / sum_to(winners, y.shape()))};  // dL/dx = dy / (number of winners) where x is one
      });
  return keepdim ? kept : reshape(kept, shapes.squeezed);
}

Tensor min(const Tensor& x) { return min(x, all_axes(x)); }

Tensor min(const Tensor& x, const Axes& axes, bool keepdim) {
  chosen("min", x, axes);  // for an error that names min
  return -max(-x, axes, keepdim);
}

Tensor var(const Tensor& x) { return var(x, all_axes(x)); }

Tensor var(const Tensor& x, const Axes& axes, bool unbiased, bool keepdim) {
  const std::size_t groups = size_of(reduced("var", x, axes).kept);
  const std::size_t n = groups == 0 ? 0 : x.size() / groups, least = unbiased ? 2 : 1;
  check(groups == 0 || n >= least, "var: needs at least ", least, " elements, ", x.shape(), " has ",
        n, " each");
  if (groups == 0) return sum(x, axes, keepdim);
  const Tensor d = x - mean(x, axes, true);
  return sum(d * d, axes, keepdim) / static_cast<Real>(unbiased ? n - 1 : n);
}

Indices argmax(const Tensor& x, std::size_t axis) {
  const Reduced shapes = chosen("argmax", x, {axis});
  const std::size_t n = x.shape(axis), inner = inner_size(x.shape(), axis);
  Indices best = full<Indices>(shapes.squeezed, 0);
  for (std::size_t i = 0; i < best.size(); ++i) {
    const Real* first = x.value().data() + i / inner * n * inner + i % inner;
    std::size_t at = 0;
    for (std::size_t k = 1; k < n; ++k) {
      const Real v = first[k * inner], greatest = first[at * inner];
      if (v > greatest || (v != v && greatest == greatest)) at = k;  // a NaN is the greatest
    }
    best.data()[i] = static_cast<std::int64_t>(at);
  }
  return best;
}

Tensor softmax(const Tensor& x, std::size_t axis) {
  const Around size("softmax", x, axis);
  Array value = empty(x.shape());
  kernels::softmax(size.outer, size.n, size.inner, x.value().data(), value.data());
  return record("softmax", {x}, std::move(value),
                [size, axis](const Tensor& y, const Tensor& dy) -> Gradients {
                  // dL/dx = y * (dy - sum_j dy_j y_j)
                  if (grad_enabled()) return {y * (dy - sum(dy * y, {axis}, true))};
                  return {with_sums(
                      size, y, dy, [](Real v, Real d) { return v * d; },
                      [](Real v, Real d, Real s) { return v * (d - s); })};
                });
}

Tensor log_softmax(const Tensor& x, std::size_t axis) {
  const Around size("log_softmax", x, axis);
  Array value = empty(x.shape());
  kernels::log_softmax(size.outer, size.n, size.inner, x.value().data(), value.data());
  return record("log_softmax", {x}, std::move(value),
                [size, axis](const Tensor& y, const Tensor& dy) -> Gradients {
                  // dL/dx = dy - softmax(x) * sum_j dy_j
                  if (grad_enabled()) return {dy - exp(y) * sum(dy, {axis}, true)};
                  return {with_sums(
                      size, y, dy, [](Real, Real d) { return d; },
                      [](Real v, Real d, Real s) { return d - kernels::exp1(v) * s; })};
                });
}

}  // namespace gradwalk
