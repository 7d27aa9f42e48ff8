// https://oneapi-src.github.io/oneDNN/group_dnnl_api_blas.html
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/machine/blas.hpp"

namespace gradwalk {

void gemm_alone(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
                const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
                std::size_t ldc) {
  if (k == 0) {  // oneDNN would leave c as it is
    for (std::size_t i = 0; i < m; ++i) {
      for (Real* x = c + i * ldc; x < c + i * ldc + n; ++x) *x = beta == 0 ? 0 : beta * *x;
    }
    return;
  }
  const auto size = [](std::size_t s) { return static_cast<dnnl_dim_t>(s); };
  // How many OpenMP threads oneDNN may start is a setting of the thread that calls it: put back
  // afterwards, for a user who has OpenMP work of their own.
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const dnnl_status_t status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', size(m), size(n), size(k), 1, a,
                 size(lda), b, size(ldb), beta, c, size(ldc));
  omp_set_num_threads(before);
  check<std::runtime_error>(status == dnnl_success, "gemm: oneDNN failed with status ",
                            static_cast<int>(status), " on ", Shape{m, n, k});
}

}  // namespace gradwalk
