#include "core/machine/blas.hpp"

#include "core/error.hpp"
#include "core/machine/threads.hpp"

namespace gradwalk {

void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
          const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
          std::size_t ldc) {
  if (m == 0 || n == 0) return;
  check(m <= INT32_MAX && n <= INT32_MAX && k <= INT32_MAX, "gemm: sizes must fit in 31 bits, got ",
        Shape{m, n, k});
  const std::size_t worth = kProductGrain / std::max<std::size_t>(k, 1);
  if (m >= n) {  // each thread some rows of c
    parallel_ranges(m, worth / n + 8, [&](std::size_t begin, std::size_t end) {
      gemm_alone(transpose_a, transpose_b, end - begin, n, k, a + begin * (transpose_a ? 1 : lda),
                 lda, b, ldb, beta, c + begin * ldc, ldc);
    });
  } else {  // some columns
    parallel_ranges(n, worth / m + 8, [&](std::size_t begin, std::size_t end) {
      gemm_alone(transpose_a, transpose_b, m, end - begin, k, a, lda,
                 b + begin * (transpose_b ? ldb : 1), ldb, beta, c + begin, ldc);
    });
  }
}

}  // namespace gradwalk
