// How two shapes broadcast, and the one walk over a broadcast shape that add, where, broadcast_to
// and sum_to share.
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

}  // namespace gradwalk
