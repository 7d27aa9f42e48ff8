// Array arithmetic without a graph: plain loops that the compiler vectorises. x and y are either
// the same array or do not overlap.
#pragma once

#include "core/array.hpp"
#include "core/machine/fast_math.hpp"

namespace gradwalk::kernels {

constexpr std::size_t kGrain = 1 << 15;  // simple operations worth handing to a thread

// y += x
void add(std::size_t n, const Real* x, Real* y);
// y += c * x
void add_scaled(std::size_t n, Real c, const Real* x, Real* y);
// y *= c
void scale(std::size_t n, Real c, Real* y);
// sum_i x[i], summed in double
Real sum_many(std::size_t n, const Real* x);
inline Real sum(std::size_t n, const Real* x) {
  if (n >= 16) return sum_many(n, x);
  double total = 0;  // here, as there may be many such sums
  for (std::size_t i = 0; i < n; ++i) total += x[i];
  return static_cast<Real>(total);
}
// sum_i x[i] * y[i], summed in double
Real dot(std::size_t n, const Real* x, const Real* y);
// sum_i x[i]^2, summed in double, so that it cannot overflow a float
double sum_of_squares(std::size_t n, const Real* x);
// sum_i (x[i] - y[i])^2 of differences in Real, summed in double; and d = c (x - y), unless null
double squared_distance(std::size_t n, const Real* x, const Real* y, Real c = 0, Real* d = nullptr);
// Fetches the row that a loop over i < n will reach a few turns later: rows of a table larger than
// the caches are slow to arrive.
inline void prefetch_row(std::size_t i, std::size_t n, std::size_t width, const std::int64_t* rows,
                         const Real* table) {
  constexpr std::size_t kAhead = 8, kLine = 64 / sizeof(Real);
  if (i + kAhead >= n) return;
  const Real* next = table + static_cast<std::size_t>(rows[i + kAhead]) * width;
  for (std::size_t j = 0; j < width; j += kLine) __builtin_prefetch(next + j);
}
// out[i, :] = table[rows[i], :]
void gather_rows(std::size_t n, std::size_t width, const std::int64_t* rows, const Real* table,
                 Real* out);
// out[rows[i], :] += values[i, :]
void scatter_add_rows(std::size_t n, std::size_t width, const std::int64_t* rows,
                      const Real* values, Real* out);
// y[i, :] = row, for n rows
void broadcast_row(std::size_t n, std::size_t width, const Real* row, Real* y);
// y[j, i] = x[i, j] for x [n, width]; rows of x and y start x_step and y_step apart
void transpose(std::size_t n, std::size_t width, const Real* x, std::size_t x_step, Real* y,
               std::size_t y_step);
// max(u, v), NaN if one of them is. Compiles to the processor's own maximum: a branch would be
// mispredicted too often.
inline Real maximum(Real u, Real v) {
  const Real greater = v > u ? v : u;
  return v != v ? v : greater;
}
// max_i x[i], -infinity if n is 0
Real max(std::size_t n, const Real* x);
// y = exp(x) / sum exp(x) along the middle axis of [outer, n, inner], and its logarithm; of numbers
// less the greatest there, so that nothing overflows
void softmax(std::size_t outer, std::size_t n, std::size_t inner, const Real* x, Real* y);
void log_softmax(std::size_t outer, std::size_t n, std::size_t inner, const Real* x, Real* y);
// Of each row its maximum, and log sum_j exp(x[i, j] - maximum).
void log_sum_rows(std::size_t n, std::size_t width, const Real* x, Real* top, Real* log_sum);

}  // namespace gradwalk::kernels
