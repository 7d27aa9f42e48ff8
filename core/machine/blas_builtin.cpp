#include "core/machine/blas.hpp"

namespace gradwalk {

ManyProducts::ManyProducts() = default;  // nothing is needed
ManyProducts::~ManyProducts() = default;

void gemm_alone(Matrix a, Matrix b, Real beta, MutableMatrix c) { gemm_plain(a, b, beta, c); }

}  // namespace gradwalk
