// The numbers under every tensor: row-major, contiguous, always materialised arrays.
// This is the only file that includes xtensor (0.26 moved its headers into folders). We use it as a
// container: its expressions are slow where they broadcast, view or reduce, dangle behind `auto`,
// and cannot be stepped through, so the arithmetic is written as plain loops over data().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "core/machine/memory.hpp"

#if __has_include(<xtensor/containers/xarray.hpp>)
#include <xtensor/containers/xarray.hpp>
#else
#include <xtensor/xarray.hpp>
#endif

namespace gradwalk {

// Fixed when the library is compiled: float to train, double to check derivatives (differences in
// float hide errors of 0.1 %).
#ifdef GRADWALK_DOUBLE
using Real = double;
#else
using Real = float;
#endif

template <class T>
using ArrayOf = xt::xarray<T, xt::layout_type::row_major, Allocator<T>>;
using Array = ArrayOf<Real>;
using Indices = ArrayOf<std::int64_t>;  // ids are not tensors: they have no gradient
using Shape = std::vector<std::size_t>;
using Axes = std::vector<std::size_t>;

template <class A>
Shape shape_of(const A& a) {
  return Shape(a.shape().begin(), a.shape().end());
}

// How many numbers a shape holds. Throws std::length_error where that is more than memory can hold:
// a product that wraps around would pass for a small one.
inline std::size_t size_of(const Shape& shape) {
  constexpr std::size_t kMost = std::size_t{1} << 48;
  std::size_t n = 1;
  bool too_many = false;
  for (std::size_t s : shape) {
    too_many = too_many || s > kMost || (s != 0 && n > kMost / s);
    n *= s;
  }
  if (too_many) throw std::length_error("shape: holds more than 2^48 numbers");
  return n;
}

// An array whose numbers are still to be written.
template <class A = Array>
A empty(const Shape& shape) {
  size_of(shape);  // may throw
  return A::from_shape(shape);
}

template <class A>
A empty_like(const A& a) {
  return A::from_shape(a.shape());
}

template <class A = Array>
A full(const Shape& shape, typename A::value_type value) {
  A a = empty<A>(shape);
  std::fill_n(a.data(), a.size(), value);
  return a;
}

}  // namespace gradwalk
