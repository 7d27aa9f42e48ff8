// One loop for elementwise work: split over threads once that is worth it.
#pragma once

#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"

namespace gradwalk {

// Calls f(0) ... f(n - 1), in no particular order; f has no state, since threads share it.
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
