// https://oneapi-src.github.io/oneDNN/group_dnnl_api_blas.html
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <signal.h>

#include "core/error.hpp"
#include "core/machine/blas.hpp"

namespace gradwalk {

namespace {

thread_local int scopes = 0;
thread_local int threads_before;
thread_local sigset_t signals_before;

}  // namespace

ManyProducts::ManyProducts() {
  if (scopes++ > 0) return;
  // How many OpenMP threads oneDNN may start is a setting of the thread that calls it. It is put
  // back afterwards, for a user who has other work for OpenMP.
  threads_before = omp_get_max_threads();
  omp_set_num_threads(1);
  // oneDNN points the stack register into its workspace while it multiplies. A signal's handler
  // that ran meanwhile would write over the heap there, so signals wait.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &signals_before);
}

ManyProducts::~ManyProducts() {
  if (--scopes > 0) return;
  pthread_sigmask(SIG_SETMASK, &signals_before, nullptr);
  omp_set_num_threads(threads_before);
}

void gemm_alone(Matrix a, Matrix b, Real beta, MutableMatrix c) {
  const auto size = [](std::size_t s) { return static_cast<dnnl_dim_t>(s); };
  const auto order = [](Matrix m) { return m.transposed ? 'T' : 'N'; };
  const ManyProducts one;
  const dnnl_status_t status =
      dnnl_sgemm(order(a), order(b), size(c.rows), size(c.cols), size(a.cols), 1, a.data,
                 size(a.stride), b.data, size(b.stride), beta, c.data, size(c.stride));
  check<std::runtime_error>(status == dnnl_success, "gemm: oneDNN failed with status ",
                            static_cast<int>(status), " on ", Shape{c.rows, c.cols, a.cols});
}

}  // namespace gradwalk
