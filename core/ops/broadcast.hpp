// How two shapes broadcast, and the one walk over a broadcast shape that add, where, broadcast_to
// and sum_to share.
// https://pytorch.org/docs/stable/notes/broadcasting.html
#pragma once

#include "core/array.hpp"

namespace gradwalk {

// The shape that a and b broadcast to. Throws std::invalid_argument naming the op and both.
Shape broadcast_shape(const char* op, const Shape& a, const Shape& b);

// For each axis of `wide`, how far to move in an array of shape `narrow`: 0 where it repeats.
Shape strides_in(const Shape& narrow, const Shape& wide);

// n elements of a broadcast shape along its last axis, from the element `at` on. In the two arrays
// that were broadcast they are a[ia + k * step_a] and b[ib + k * step_b].
struct Run {
  std::size_t at, n, ia, step_a, ib, step_b;
};

// Calls f(run) for all of `shape` in row-major order; a and b are the strides of the two arrays.
template <class F>
void for_each_run(Shape shape, Shape a, Shape b, F f) {
  // Two neighbouring axes that both arrays walk through as one become one: fewer, longer runs.
  for (std::size_t i = shape.size(); i-- > 1;) {
    const std::size_t n = shape[i];
    if (a[i - 1] != a[i] * n || b[i - 1] != b[i] * n) continue;
    shape[i - 1] *= n;
    a[i - 1] = a[i];
    b[i - 1] = b[i];
    for (Shape* s : {&shape, &a, &b}) s->erase(s->begin() + static_cast<std::ptrdiff_t>(i));
  }
  const std::size_t axes = shape.size(), total = size_of(shape);
  Run run{0, axes == 0 ? 1 : shape.back(), 0, axes == 0 ? 0 : a.back(),
          0, axes == 0 ? 0 : b.back()};
  Shape index(axes, 0);
  for (; run.at < total; run.at += run.n) {
    f(run);
    // the odometer over the other axes
    for (std::size_t axis = axes == 0 ? 0 : axes - 1; axis-- > 0;) {
      run.ia += a[axis];
      run.ib += b[axis];
      if (++index[axis] < shape[axis]) break;
      run.ia -= a[axis] * shape[axis];
      run.ib -= b[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

// y[i] = f(a[i], b[i]), where a and b broadcast, or it throws as broadcast_shape does
template <class F>
Array zip_broadcast(const char* op, const Array& a, const Array& b, F f) {
  const Shape shape = broadcast_shape(op, a.shape(), b.shape());
  Array y = empty(shape);
  for_each_run(
      shape, strides_in(a.shape(), shape), strides_in(b.shape(), shape), [&](const Run& r) {
        const Real *u = a.data() + r.ia, *v = b.data() + r.ib;
        Real* out = y.data() + r.at;
        if (r.step_a == 1 && r.step_b == 1) {  // the usual steps apart, for loops that vectorise
          for (std::size_t k = 0; k < r.n; ++k) out[k] = f(u[k], v[k]);
        } else if (r.step_a == 1 && r.step_b == 0) {
          for (std::size_t k = 0; k < r.n; ++k) out[k] = f(u[k], *v);
        } else if (r.step_a == 0 && r.step_b == 1) {
          for (std::size_t k = 0; k < r.n; ++k) out[k] = f(*u, v[k]);
        } else {
          for (std::size_t k = 0; k < r.n; ++k) out[k] = f(u[k * r.step_a], v[k * r.step_b]);
        }
      });
  return y;
}

// The place of element `at`, in row-major order, as one index for each axis.
Shape index_of(std::size_t at, const Shape& shape);

// A shape as [outer, shape[axis] * inner]: what comes before an axis, and after it.
inline std::size_t outer_size(const Shape& shape, std::size_t axis) {
  std::size_t n = 1;
  for (std::size_t i = 0; i < axis; ++i) n *= shape[i];
  return n;
}
inline std::size_t inner_size(const Shape& shape, std::size_t axis) {
  std::size_t n = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) n *= shape[i];
  return n;
}

}  // namespace gradwalk
