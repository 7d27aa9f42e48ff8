// Works of the group breadth: one layer, op or optimizer at a time.
#pragma once

#include <cmath>

#include "tests/benchmarks/works.hpp"

constexpr std::size_t kT = 64, kN = 64, kD = 128, kV = 20000;

// Of the rows of "bilstm-2", the longest first.
inline std::vector<std::int64_t> breadth_lengths() {
  std::vector<std::int64_t> lengths;
  for (std::size_t n = 0; n < kN; ++n) lengths.push_back(std::int64_t(kT - n * kT / (kN + 8)));
  return lengths;
}

// What stands for an array where sides are compared: a sum in which every element counts.
inline double projection_weight(std::size_t i) { return 0.6 + 0.4 * std::cos(double(i % 1009)); }
inline double projection(const float* x, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += projection_weight(i) * double(x[i]);
  return sum;
}
