// The numbers under every tensor: row-major, contiguous arrays of xtensor, which is used as a
// container only. Its lazy expressions dangle behind `auto` and cannot be stepped through, so
// arithmetic is written as plain loops over data().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "core/machine/xtensor.hpp"

namespace gradwalk {

// Fixed when the library is compiled: float to train, double to check derivatives (finite
// differences in float hide errors of 0.1 %).
#ifdef GRADWALK_DOUBLE
using Real = double;
#else
using Real = float;
#endif

template <class T>
using ArrayOf = xt::xarray<T, xt::layout_type::row_major, Allocator<T>>;
using Array = ArrayOf<Real>;            // row-major, contiguous
using Shape = Array::shape_type;        // the length of each axis
using Axes = std::vector<std::size_t>;  // which axes: 0 is the first
class Indices;                          // an array of ids: see indices.hpp

// How many numbers a shape holds. Throws std::length_error where the product of its sizes, 0 taken
// as 1, is above 2^48: one that wraps around would pass for a small one.
inline std::size_t size_of(const Shape& shape) {
  std::size_t n = 1;
  double most = 1;
  for (std::size_t s : shape) n *= s, most *= s == 0 ? 1 : static_cast<double>(s);
  if (most > 0x1p48) throw std::length_error("shape: holds more than 2^48 numbers");
  return n;
}

// An array whose numbers are not written yet.
template <class A = Array>
A empty(const Shape& shape) {
  size_of(shape);  // may throw
  return A::from_shape(shape);
}
// An array that holds one number everywhere.
template <class A = Array>
A full(const Shape& shape, typename A::value_type value) {
  A a = empty<A>(shape);
  std::fill_n(a.data(), a.size(), value);
  return a;
}

}  // namespace gradwalk
