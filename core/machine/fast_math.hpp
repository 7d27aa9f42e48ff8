// exp, log, tanh, sigmoid, erf and the normal distribution of one number, for loops that vectorise.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/array.hpp"

namespace gradwalk::kernels {

// The standard normal distribution: the probability of a number below x, and the density at x.
struct Normal {
  Real below, density;
};
constexpr Real kSqrtHalf = Real(0.7071067811865476), kDensityAt0 = Real(0.3989422804014327);

// In double the standard library's; in float short polynomials without branches, so that loops over
// them are vectorised. Where the result is a normal float, exp and log are wrong by at most 1.2
// units in the last place, erf by 1.3, tanh, sigmoid and log1p by 2.6; for normal1 see there.
// Overflow gives infinity, underflow 0, NaN stays NaN.
#ifdef GRADWALK_DOUBLE
inline Real exp1(Real x) { return std::exp(x); }
inline Real log1(Real x) { return std::log(x); }
inline Real log1p1(Real x) { return std::log1p(x); }
inline Real erf1(Real x) { return std::erf(x); }
inline Normal normal1(Real x) {
  return {std::erfc(-x * kSqrtHalf) / 2, std::exp(-x * x / 2) * kDensityAt0};
}
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
// x = 2^n m with m from sqrt(1/2) to sqrt(2); log(1 + r) = r - r^2/2 + r^3 p(r) with the p of
// Cephes' logf (Moshier 1992). Subnormal x are taken for 0, as loops do.
inline float log1(float x) {
  std::uint32_t bits;  // unsigned: those of a negative number may wrap around
  std::memcpy(&bits, &x, 4);
  const std::int32_t n = static_cast<std::int32_t>(bits - 0x3f3504f3) >> 23;  // from sqrt(1/2) on
  bits -= static_cast<std::uint32_t>(n) << 23;
  float m;
  std::memcpy(&m, &bits, 4);
  const float r = m - 1, power = static_cast<float>(n);
  float p = 7.0376836292e-2f;
  p = p * r - 1.1514610310e-1f;
  p = p * r + 1.1676998740e-1f;
  p = p * r - 1.2420140846e-1f;
  p = p * r + 1.4249322787e-1f;
  p = p * r - 1.6668057665e-1f;
  p = p * r + 2.0000714765e-1f;
  p = p * r - 2.4999993993e-1f;
  p = p * r + 3.3333331174e-1f;
  const float y =
      (p * r * r * r - power * 2.12194440e-4f - 0.5f * r * r) + r + power * 0.693359375f;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float too_small = x < 0 || x != x ? std::numeric_limits<float>::quiet_NaN() : -kInfinity;
  return x >= std::numeric_limits<float>::min() ? (x < kInfinity ? y : x) : too_small;
}
// log(1 + x) for x >= 0: what 1 + x loses of x is made up for (Kahan)
inline float log1p1(float x) {
  const float sum = 1 + x, added = sum - 1;
  return added == 0 ? x : log1(sum) * (x / added);
}
// Near 0 x + x p(x^2), further out 1 - exp(-|x| (1 + q(|x|))); p and q were fitted for this file.
inline float erf1(float x) {
  const float s = x * x, t = std::abs(x) > 4.f ? 4.f : std::abs(x);  // erf(4) rounds to 1
  float p = -5.953732935e-4f;
  p = p * s + 4.985938689e-3f;
  p = p * s - 2.676171841e-2f;
  p = p * s + 1.128168250e-1f;
  p = p * s - 3.761248109e-1f;
  p = p * s + 1.283791477e-1f;
  float q = 1.123197455e-5f;
  q = q * t - 3.228102690e-4f;
  q = q * t + 3.642483935e-3f;
  q = q * t - 2.376211312e-2f;
  q = q * t + 1.062369331e-1f;
  q = q * t + 6.351512846e-1f;
  q = q * t + 1.286484977e-1f;
  const float far = std::copysign(1 - exp1(-t * q - t), x);
  const float scaled = x * 0x1p60f;  // for a tiny x, x p is subnormal, and would be taken for 0
  return std::abs(x) < 0.93f ? (scaled * p + scaled) * 0x1p-60f : (x == x ? far : x);
}
// Below -t: e^(-t^2 / 2) u p(2 u - 1) / 2 with u = 1 / (1 + 0.6 t / sqrt 2), where p was fitted for
// this file: one exp serves both results. The error is at most 3 * 2^-24; for x < 0 at most 5e-6
// of the result.
inline Normal normal1(float x) {
  const float e = exp1(-0.5f * x * x), u = 1 / (1 + std::abs(x) * (0.6f * kSqrtHalf)),
              w = 2 * u - 1;
  float p = 9.894415236e-5f;
  p = p * w - 8.355353127e-4f;
  p = p * w + 1.320535387e-3f;
  p = p * w + 3.477997368e-3f;
  p = p * w - 1.156912462e-2f;
  p = p * w - 1.774616584e-2f;
  p = p * w + 8.689157347e-2f;
  p = p * w + 3.457866601e-1f;
  p = p * w + 5.925750609e-1f;
  const float tail = 0.5f * e * u * p;
  return {x < 0 ? tail : 1 - tail, e * kDensityAt0};
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

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which cannot overflow
inline Real softplus1(Real x) { return (x < 0 ? 0 : x) + log1p1(exp1(-std::abs(x))); }

}  // namespace gradwalk::kernels
