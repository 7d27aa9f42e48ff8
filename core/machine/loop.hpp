// Loops over all elements of an array.
#pragma once

#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"

namespace gradwalk {

// term(begin) + ... + term(end - 1), in several lanes: in one sum each addition would wait for the
// one before. In double, which costs nothing here, as the loop waits for memory.
template <class F>
double sum_terms(std::size_t begin, std::size_t end, const F& term) {
  constexpr std::size_t kLanes = 16;
  double total = 0;
  std::size_t i = begin;
  if (end - begin >= kLanes) {
    double lane[kLanes] = {};
    for (; i + kLanes <= end; i += kLanes) {
      for (std::size_t k = 0; k < kLanes; ++k) lane[k] += term(i + k);
    }
    for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
      for (std::size_t k = 0; k < half; ++k) lane[k] += lane[k + half];
    }
    total = lane[0];
  }
  for (; i < end; ++i) total += term(i);
  return total;
}

// Calls f(0) ... f(n - 1), in no particular order; f has no state, since threads share it, once
// there is work enough for them.
template <class F>
void for_each(std::size_t n, const F& f) {
  if (n < 2 * kernels::kGrain) {
    for (std::size_t i = 0; i < n; ++i) f(i);
    return;
  }
  parallel_ranges(n, kernels::kGrain, [&f](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) f(i);
  });
}

}  // namespace gradwalk
