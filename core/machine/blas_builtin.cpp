#include "core/machine/blas.hpp"

namespace gradwalk {

void gemm_alone(Matrix a, Matrix b, Real beta, MutableMatrix c) { gemm_plain(a, b, beta, c); }

}  // namespace gradwalk
