// How two shapes broadcast, and the one walk over a broadcast shape that add, where, broadcast_to
// and sum_to share.
#pragma once

#include "core/array.hpp"

namespace gradwalk {

// The shape that a and b broadcast to. Throws std::invalid_argument naming the op and both.
Shape broadcast_shape(const char* op, const Shape& a, const Shape& b);

// For each axis of `wide`, how far to move in an array of shape `narrow`: 0 where it repeats.
std::vector<std::size_t> strides_in(const Shape& narrow, const Shape& wide);

// Visits `shape` in row-major order, one run along the last axis at a time: f(at, n, ia, step_a,
// ib, step_b) stands for the n elements from `at` on, which are a[ia + k * step_a] and b[ib + k *
// step_b].
template <class F>
void for_each_run(const Shape& shape, const std::vector<std::size_t>& a,
                  const std::vector<std::size_t>& b, F f) {
  const std::size_t axes = shape.size(), n = axes == 0 ? 1 : shape.back(), total = size_of(shape);
  std::vector<std::size_t> index(axes, 0);
  for (std::size_t at = 0, ia = 0, ib = 0; at < total; at += n) {
    f(at, n, ia, axes == 0 ? 0 : a.back(), ib, axes == 0 ? 0 : b.back());
    for (std::size_t axis = axes == 0 ? 0 : axes - 1;
         axis-- > 0;) {  // the odometer over the other axes
      ia += a[axis];
      ib += b[axis];
      if (++index[axis] < shape[axis]) break;
      ia -= a[axis] * shape[axis];
      ib -= b[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace gradwalk
