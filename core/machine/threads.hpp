// Work split over the processor's cores. One pool of threads serves the whole process; it starts
// with the first work that is worth splitting.
// Who computes a part never changes what is computed: the same number of threads gives the same
// bits, and another number the same values up to rounding.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

namespace gradwalk {

// As many as the environment variable GRADWALK_NUM_THREADS says, or as the machine has cores.
std::size_t num_threads();
// From 1 to 1024: std::invalid_argument. Not inside a part, std::logic_error, and not while work is going
// on in another thread.
void set_num_threads(std::size_t n);

// Calls f(0) ... f(parts - 1), on this thread and on those of the pool, and returns when all have
// ended. The first exception is thrown again here. Inside a part there is no further splitting.
void parallel(std::size_t parts, const std::function<void(std::size_t part)>& f);
bool in_parallel();  // is this such a part?

// Calls f(begin, end) for ranges that together are 0 ... n - 1, none much shorter than `grain`: as
// much as is worth the few microseconds that handing it over takes.
template <class F>
void parallel_ranges(std::size_t n, std::size_t grain, const F& f) {
  const std::size_t parts =
      in_parallel() ? 1 : std::min(num_threads(), n / std::max<std::size_t>(grain, 1));
  if (parts <= 1) return f(std::size_t{0}, n);
  parallel(parts, [&](std::size_t k) { f(n * k / parts, n * (k + 1) / parts); });
}

}  // namespace gradwalk
