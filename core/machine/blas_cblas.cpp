#include "core/machine/blas.hpp"

#include <cblas.h>

#ifdef GRADWALK_OPENBLAS
extern "C" void openblas_set_num_threads(int);
#endif

namespace gradwalk {

void gemm_alone(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
                const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
                std::size_t ldc) {
#ifdef GRADWALK_OPENBLAS
  // OpenBLAS's own threads gain little on products as small as one time step's, and would stand in
  // the way of ours.
  static const bool once = (openblas_set_num_threads(1), true);
  (void)once;
#endif
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

}  // namespace gradwalk
