// Matrix products: split over our threads in blas.cpp, and done by the library that CMake was told
// of (GRADWALK_BLAS), which only blas_cblas.cpp or blas_onednn.cpp sees.
#pragma once

#include "core/array.hpp"

namespace gradwalk {

// As many multiplications of a product are worth handing to a thread.
constexpr std::size_t kProductGrain = 1 << 20;

// c[m,n] = op(a)[m,k] . op(b)[k,n] + beta * c, row-major; op(a) is a or its transpose. lda, ldb and
// ldc are the distances between the stored rows of a, b and c.
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
          const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
          std::size_t ldc);

// The same in this thread alone. m and n are not 0, and all three fit in 31 bits.
void gemm_alone(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
                const Real* a, std::size_t lda, const Real* b, std::size_t ldb, Real beta, Real* c,
                std::size_t ldc);

}  // namespace gradwalk
