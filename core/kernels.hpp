// Array arithmetic without a graph: plain loops that the compiler vectorises. x and y never overlap
// unless they are equal.
#pragma once

#include <cmath>
#include <cstring>

#include "core/array.hpp"

namespace gradwalk::kernels {

constexpr std::size_t kGrain = 1 << 15;  // simple operations that are worth handing to a thread

// y += x
void add(std::size_t n, const Real* x, Real* y);
// y += c * x
void add_scaled(std::size_t n, Real c, const Real* x, Real* y);
// y *= c
void scale(std::size_t n, Real c, Real* y);
// sum_i x[i], added up in double
Real sum(std::size_t n, const Real* x);
// sum_i x[i] * y[i]
Real dot(std::size_t n, const Real* x, const Real* y);
// sum_i x[i]^2, in double
double sum_of_squares(std::size_t n, const Real* x);
// sum_i (x[i] - y[i])^2, to 1e-6 in float
double squared_distance(std::size_t n, const Real* x, const Real* y);
// Asks memory for the row that a loop over i < n will reach in a few turns: rows stand anywhere in
// a table that is larger than the caches.
inline void ask_ahead(std::size_t i, std::size_t n, std::size_t width, const std::int64_t* rows,
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
// The same into an `out` that is not zero yet, where places count up: each one occurs first when all
// smaller ones have.
void sum_places(std::size_t n, std::size_t width, const std::int64_t* places, const Real* values,
                Real* out);
// y[i, :] = row, for n rows
void repeat_row(std::size_t n, std::size_t width, const Real* row, Real* y);
// row[:] += sum_i x[i, :]
void add_column_sums(std::size_t n, std::size_t width, const Real* x, Real* row);
// y[i, :] = x[i, :] - log sum_j exp(x[i, j]), through the row's maximum so that nothing overflows
void log_softmax_rows(std::size_t n, std::size_t width, const Real* x, Real* y);
// y = exp(x), elementwise
void exp(std::size_t n, const Real* x, Real* y);
void tanh(std::size_t n, const Real* x, Real* y);
void sigmoid(std::size_t n, const Real* x, Real* y);

// exp, tanh and sigmoid of one number. In double the standard library's; in float short polynomials
// without branches, so that a loop over them is vectorised. Over all floats they are wrong by at most
// 1.2, 2.1 and 2.5 units in the last place, where the result is a normal float; overflow gives inf,
// underflow 0, NaN stays.
#ifdef GRADWALK_DOUBLE
inline Real exp1(Real x) { return std::exp(x); }
inline Real tanh1(Real x) { return std::tanh(x); }
inline Real sigmoid1(Real x) {
  const Real e = std::exp(-std::abs(x));  // at most 1: cannot overflow
  return (x < 0 ? e : Real(1)) / (1 + e);
}
#else
// exp(x) = 2^n exp(r) with n = round(x / log 2) and |r| <= log(2) / 2, where six terms of the
// series are enough. 2^n is built from its exponent bits, in two halves so that n = 128 and the
// subnormals are reached without leaving the range.
inline float exp1(float x) {
  constexpr float kLog2Hi = 0.693359375f,
                  kLog2Lo = -2.12194440e-4f;  // their sum is log 2 (Cody and Waite 1980)
  const float t = x < -104.f ? -104.f : (x > 89.f ? 89.f : x);
  constexpr float kRound = 12582912.f;  // 1.5 * 2^23: adding it rounds to a whole number
  const float shifted = t * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (t - n * kLog2Hi) - n * kLog2Lo;
  float p = 1.f / 5040.f;
  p = p * r + 1.f / 720.f;
  p = p * r + 1.f / 120.f;
  p = p * r + 1.f / 24.f;
  p = p * r + 1.f / 6.f;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  std::int32_t bits;
  std::memcpy(&bits, &shifted, 4);
  const std::int32_t whole = bits - 0x4b400000;  // n as an integer: the low bits of `shifted`
  const std::int32_t half = whole >> 1;
  // unsigned: of a NaN the bits are anything, and shifting a negative int is undefined
  const std::uint32_t first = static_cast<std::uint32_t>(half + 127) << 23,
                      second = static_cast<std::uint32_t>(whole - half + 127) << 23;
  float a, b;
  std::memcpy(&a, &first, 4);
  std::memcpy(&b, &second, 4);
  return p * a * b;
}
// Near 0 the odd series, elsewhere 1 - 2 / (1 + exp(2x)), which would lose its digits there.
inline float tanh1(float x) {
  const float a = x < 0 ? -x : x;
  const float z = x * x;
  float p = 21844.f / 6081075.f;
  p = -p * z + 1382.f / 155925.f;
  p = p * -z + 62.f / 2835.f;
  p = p * -z + 17.f / 315.f;
  p = p * -z + 2.f / 15.f;
  p = p * -z + 1.f / 3.f;
  const float small = x - x * z * p;
  const float large = 1.f - 2.f / (1.f + exp1(2.f * a));
  const float signed_large = x < 0 ? -large : large;
  return a < 0.5f ? small : signed_large;
}
inline float sigmoid1(float x) { return 1.f / (1.f + exp1(-x)); }
#endif

}  // namespace gradwalk::kernels
