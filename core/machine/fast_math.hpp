// exp, tanh and sigmoid of one number, fast enough for the loops over gates.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/array.hpp"

namespace gradwalk::kernels {

// In double the standard library's; in float short polynomials without branches, so that loops over
// them are vectorised. Where the result is a normal float, they are wrong by at most 1.2, 2.6 and
// 2.5 units in the last place. Overflow gives infinity, underflow 0, NaN stays NaN.
#ifdef GRADWALK_DOUBLE
inline Real exp1(Real x) { return std::exp(x); }
inline Real tanh1(Real x) { return std::tanh(x); }
inline Real sigmoid1(Real x) {
  const Real e = std::exp(-std::abs(x));  // at most 1: cannot overflow
  return (x < 0 ? e : Real(1)) / (1 + e);
}
#else
// exp(t) = 2^n (1 + d) with n = round(t / log 2) and d = exp(r) - 1, |r| <= log(2) / 2, where seven
// terms of the series are enough. t must be in -104 ... 89; if it is NaN, d is NaN and n undefined.
struct ExpParts {
  std::int32_t n;
  float d;
};
inline ExpParts exp_parts(float t) {
  constexpr float kLog2Hi = 0.693359375f,
                  kLog2Lo = -2.12194440e-4f;  // their sum is log 2 (Cody and Waite 1980)
  constexpr float kRound = 12582912.f;        // 1.5 * 2^23: adding it rounds to a whole number
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
  std::int32_t bits;
  std::memcpy(&bits, &shifted, 4);
  return {bits - 0x4b400000, p * r};  // n as an integer: the low bits of `shifted`
}
// 2^n, for n of -126 ... 127, built from its exponent bits; 128 gives infinity.
inline float power_of_2(std::int32_t n) {
  // unsigned: after a NaN n may be negative, and shifting a negative int is undefined
  const std::uint32_t bits = static_cast<std::uint32_t>(n + 127) << 23;
  float power;
  std::memcpy(&power, &bits, 4);
  return power;
}
inline float exp1(float x) {
  const auto [n, d] = exp_parts(x < -104.f ? -104.f : (x > 89.f ? 89.f : x));
  const std::int32_t half = n >> 1;  // in two halves, to reach the subnormals
  return (1 + d) * power_of_2(half) * power_of_2(n - half);
}
// y = -e / (e + 2) with e = exp(-2|x|) - 1, which keeps its digits near 0
inline float tanh1(float x) {
  const float t = -2 * std::abs(x);
  const auto [n, d] = exp_parts(t < -87.f ? -87.f : t);
  const float scale = power_of_2(n), e = scale * d + (scale - 1);
  return std::copysign(e / (e + 2), x);
}
// y = 1 / (1 + exp(-x))
inline float sigmoid1(float x) {
  const auto [n, d] = exp_parts(x < -89.f ? 89.f : (x > 87.f ? -87.f : -x));
  return 1 / (1 + (1 + d) * power_of_2(n));
}
#endif

}  // namespace gradwalk::kernels
