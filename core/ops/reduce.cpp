// Reductions. sum_to (shape.cpp) is the only loop that adds: the others are made of it.
#include <algorithm>
#include <limits>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
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

// f along the last axis, to which any other axis is brought for the occasion.
template <class F>
Tensor along_last(const char* op, const Tensor& x, std::size_t axis, F f) {
  check<std::out_of_range>(axis < x.dim(), op, ": axis ", axis, " is outside ", x.shape());
  const std::size_t last = x.dim() - 1;
  return axis == last ? f(x) : transpose(f(transpose(x, axis, last)), axis, last);
}

Tensor sum_last(const Tensor& x) { return sum(x, {x.dim() - 1}, true); }

// The value of a kernel that works on rows.
template <class Kernel>
Array of_rows(const Tensor& x, Kernel kernel) {
  Array y = empty(x.shape());
  const std::size_t width = x.shape(x.dim() - 1);
  kernel(width == 0 ? 0 : x.size() / width, width, x.value().data(), y.data());
  return y;
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
  return along_last("softmax", x, axis, [](const Tensor& rows) {
    return record("softmax", {rows}, of_rows(rows, kernels::softmax_rows),
                  [](const Tensor& y, const Tensor& dy) -> Gradients {
                    const Tensor g = dy * y;
                    return {g - y * sum_last(g)};  // dL/dx = y * (dy - sum_j dy_j y_j)
                  });
  });
}

Tensor log_softmax(const Tensor& x, std::size_t axis) {
  return along_last("log_softmax", x, axis, [](const Tensor& rows) {
    return record("log_softmax", {rows}, of_rows(rows, kernels::log_softmax_rows),
                  [](const Tensor& y, const Tensor& dy) -> Gradients {
                    return {dy - exp(y) * sum_last(dy)};  // dL/dx = dy - softmax(x) * sum_j dy_j
                  });
  });
}

}  // namespace gradwalk
