#include "core/machine/blas.hpp"

#include <cblas.h>

#ifdef GRADWALK_OPENBLAS
extern "C" void openblas_set_num_threads(int);
#endif

namespace gradwalk {

ManyProducts::ManyProducts() = default;  // nothing is needed
ManyProducts::~ManyProducts() = default;

void gemm_alone(Matrix a, Matrix b, Real beta, MutableMatrix c) {
#ifdef GRADWALK_OPENBLAS
  // OpenBLAS's own threads gain little on products as small as one time step's, and would compete
  // with ours.
  static const bool once = (openblas_set_num_threads(1), true);
  (void)once;
#endif
#ifdef GRADWALK_DOUBLE
  const auto blas = cblas_dgemm;
#else
  const auto blas = cblas_sgemm;
#endif
  const auto size = [](std::size_t s) { return static_cast<int>(s); };
  const auto order = [](Matrix m) { return m.transposed ? CblasTrans : CblasNoTrans; };
  const auto stride = [](Matrix m) { return m.stride == 0 ? 1 : static_cast<int>(m.stride); };
  blas(CblasRowMajor, order(a), order(b), size(c.rows), size(c.cols), size(a.cols), 1, a.data,
       stride(a), b.data, stride(b), beta, c.data, stride(c));
}

}  // namespace gradwalk
