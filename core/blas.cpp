#include "core/blas.hpp"

#include <cblas.h>

#include "core/error.hpp"

#ifdef GRADWALK_OPENBLAS
extern "C" void openblas_set_num_threads(int);
#endif

namespace gradwalk {

void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
          const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
          std::size_t ldc) {
#ifdef GRADWALK_OPENBLAS
  // OpenBLAS's own threads cost more than they give on products as small as one time step's.
  static const bool once = (openblas_set_num_threads(1), true);
  (void)once;
#endif
  if (m == 0 || n == 0) return;
  check(m <= INT32_MAX && n <= INT32_MAX && k <= INT32_MAX, "gemm: sizes must fit in 31 bits, got ",
        Shape{m, n, k});
  const auto size = [](std::size_t s) { return static_cast<int>(s == 0 ? 1 : s); };
  const CBLAS_TRANSPOSE ta = transpose_a ? CblasTrans : CblasNoTrans;
  const CBLAS_TRANSPOSE tb = transpose_b ? CblasTrans : CblasNoTrans;
#ifdef GRADWALK_DOUBLE
  const auto product = cblas_dgemm;
#else
  const auto product = cblas_sgemm;
#endif
  product(CblasRowMajor, ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), 1,
          a, size(lda), b, size(ldb), beta, c, size(ldc));
}

}  // namespace gradwalk
