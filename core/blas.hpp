// Matrix products. The only file that sees a CBLAS.
#pragma once

#include "core/array.hpp"

namespace gradwalk {

// c[m,n] = op(a)[m,k] . op(b)[k,n] + beta * c, row-major; op(a) is a or its transpose. lda, ldb and
// ldc are the distances between the stored rows of a, b and c.
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
          const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
          std::size_t ldc);

}  // namespace gradwalk
