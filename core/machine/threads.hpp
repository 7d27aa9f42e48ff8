// Work split over the processor's cores. One pool of threads serves the whole process; it starts
// with the first work that is worth splitting, and a forked child starts its own.
// The same number of threads always gives the same bits, whichever thread computes which part;
// another number gives the same values up to rounding.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

#include "core/machine/subnormals.hpp"

namespace gradwalk {

// The number in the environment variable GRADWALK_NUM_THREADS, or else the number of cores.
std::size_t num_threads();
// From 1 to 1024, or std::invalid_argument. std::logic_error inside a part of parallel().
void set_num_threads(std::size_t n);

// Calls f(0) ... f(parts - 1) on this thread and those of the pool, and returns when all have
// ended. If some throw, the exception of the first such part is thrown here, as by a plain loop.
// A part is not split further. All flush subnormals.
void parallel(std::size_t parts, const std::function<void(std::size_t part)>& f);
bool in_parallel();  // is this inside a part?

// Calls f(begin, end) for ranges that together cover 0 ... n - 1. `grain` is how much is worth the
// few microseconds that handing it over takes: hardly any range is shorter.
template <class F>
void parallel_ranges(std::size_t n, std::size_t grain, const F& f) {
  const std::size_t parts =
      in_parallel() ? 1 : std::min(num_threads(), n / std::max<std::size_t>(grain, 1));
  const FlushSubnormals flush;
  if (parts <= 1) return f(std::size_t{0}, n);
  const auto range = [&](std::size_t k) { f(n * k / parts, n * (k + 1) / parts); };
  parallel(parts, std::ref(range));  // by reference, as a copy would be allocated
}

}  // namespace gradwalk
