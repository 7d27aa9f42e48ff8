#include "core/blas.hpp"

#include <cblas.h>

#include "core/error.hpp"
#include "core/threads.hpp"

#ifdef GRADWALK_OPENBLAS
extern "C" void openblas_set_num_threads(int);
#endif

namespace gradwalk {

namespace {

// In one thread.
void product(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
             const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
             std::size_t ldc) {
  const auto size = [](std::size_t s) { return static_cast<int>(s == 0 ? 1 : s); };
  const CBLAS_TRANSPOSE ta = transpose_a ? CblasTrans : CblasNoTrans;
  const CBLAS_TRANSPOSE tb = transpose_b ? CblasTrans : CblasNoTrans;
#ifdef GRADWALK_DOUBLE
  const auto blas = cblas_dgemm;
#else
  const auto blas = cblas_sgemm;
#endif
  blas(CblasRowMajor, ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), 1, a,
       size(lda), b, size(ldb), beta, c, size(ldc));
}

}  // namespace

void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
          const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
          std::size_t ldc) {
#ifdef GRADWALK_OPENBLAS
  // OpenBLAS's own threads gain little on products as small as one time step's, and would stand in
  // the way of ours.
  static const bool once = (openblas_set_num_threads(1), true);
  (void)once;
#endif
  if (m == 0 || n == 0) return;
  check(m <= INT32_MAX && n <= INT32_MAX && k <= INT32_MAX, "gemm: sizes must fit in 31 bits, got ",
        Shape{m, n, k});
  constexpr std::size_t kGrain = 1 << 20;  // multiplications that are worth handing over
  const std::size_t worth = kGrain / std::max<std::size_t>(k, 1);
  if (m >= n) {  // each thread some rows of c
    parallel_ranges(m, worth / n + 8, [&](std::size_t begin, std::size_t end) {
      product(transpose_a, transpose_b, end - begin, n, k, a + begin * (transpose_a ? 1 : lda), lda,
              b, ldb, beta, c + begin * ldc, ldc);
    });
  } else {  // some columns
    parallel_ranges(n, worth / m + 8, [&](std::size_t begin, std::size_t end) {
      product(transpose_a, transpose_b, m, end - begin, k, a, lda,
              b + begin * (transpose_b ? ldb : 1), ldb, beta, c + begin, ldc);
    });
  }
}

}  // namespace gradwalk
