// Loops over all elements of an array.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"

namespace gradwalk {

// term(begin) + ... + term(end - 1), in an order that suits the machine: in that of the terms each
// addition would wait for the one before. In double, which costs nothing here, as the loop waits
// for memory.
template <class F>
double sum_terms(std::size_t begin, std::size_t end, const F& f) {
  const F term = f;  // a copy: through a reference it would be read again for each term
  double total = 0;
  if (end - begin < 16) {  // too few for several sums at once
    for (std::size_t i = begin; i < end; ++i) total += term(i);
    return total;
  }
#pragma omp simd reduction(+ : total)
  for (std::size_t i = begin; i < end; ++i) total += term(i);
  return total;
}

// f(begin) ... f(end - 1), where f may be a lambda of any size: the attribute puts all that it
// calls into this loop, which would not be vectorised otherwise.
template <class F>
[[gnu::flatten]] void each_of(std::size_t begin, std::size_t end, const F& f) {
  const F each = f;  // a copy, as in sum_terms
  for (std::size_t i = begin; i < end; ++i) each(i);
}

// Calls f(0) ... f(n - 1), in no particular order; f has no state, since threads share it, once
// there is work enough for them.
template <class F>
void for_each(std::size_t n, const F& f) {
  if (n < 2 * kernels::kGrain) {
    const FlushSubnormals flush;
    return each_of(0, n, f);
  }
  parallel_ranges(n, kernels::kGrain,
                  [&f](std::size_t begin, std::size_t end) { each_of(begin, end, f); });
}

// For n rows of `width` numbers that are added into rows of a result, number i into row to[i]. Each
// thread calls f(begin, end, mine), which goes through begin ... end - 1 in order and adds only
// where mine(row); each row of the result is one thread's.
// Rows in order, as those of bags, are dealt as ranges: the threads that use them next deal so too,
// and rows that move from one to the other are slow. Others are dealt in blocks of a few pages:
// frequent rows are often neighbours, and threads that write to one page slow each other down.
template <class F>
void for_sums(std::size_t n, std::size_t width, const std::int64_t* to, const F& f) {
  constexpr std::size_t kShort = 16, kBlock = 2048;  // numbers
  const std::size_t most = in_parallel() || width < kShort ? 1 : num_threads(),
                    parts = std::clamp<std::size_t>(n * width / kernels::kGrain, 1, most);
  if (parts > 1 && std::is_sorted(to, to + n)) {
    return parallel(parts, [=, &f](std::size_t part) {
      const auto cut = [=](std::size_t k) {  // where a row begins, about k parts in
        std::size_t i = n * k / parts;
        while (i > 0 && i < n && to[i] == to[i - 1]) ++i;
        return i;
      };
      const std::size_t begin = cut(part), end = cut(part + 1);
      const auto row_at = [=](std::size_t i) { return i < n ? std::uint64_t(to[i]) : ~0ull; };
      const std::uint64_t first = part == 0 ? 0 : row_at(begin), last = row_at(end);
      f(begin, end, [=](std::size_t row) { return row >= first && row < last; });
    });
  }
  std::size_t shift = 0;  // 2^shift rows are a block
  while (width << shift < kBlock && shift < 11) ++shift;
  parallel(parts, [=, &f](std::size_t part) {
    f(0, n, [=](std::size_t row) {  // a 32-bit division takes half the time
      return parts == 1 ||
             static_cast<std::uint32_t>(row >> shift) % static_cast<std::uint32_t>(parts) == part;
    });
  });
}

}  // namespace gradwalk
