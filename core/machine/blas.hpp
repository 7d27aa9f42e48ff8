// Matrix products: split over our threads in blas.cpp, and done by the library that CMake has taken
// (GRADWALK_BLAS), which only blas_onednn.cpp or blas_cblas.cpp sees; or by plain loops.
#pragma once

#include "core/array.hpp"

namespace gradwalk {

// A matrix, or a block of one, in row-major memory, which it does not own.
template <class Number>  // Real, or const Real
struct MatrixView {
  Number* data;
  std::size_t rows, cols;
  std::size_t stride;       // from one row in memory to the next
  bool transposed = false;  // then the rows in memory are the columns

  MatrixView(Number* d, std::size_t r, std::size_t c, std::size_t s, bool t = false)
      : data(d), rows(r), cols(c), stride(s), transposed(t) {}
  MatrixView(Number* d, std::size_t r, std::size_t c) : MatrixView(d, r, c, c) {}
  template <class Other>  // what may be written may be read
  MatrixView(const MatrixView<Other>& m)
      : MatrixView(m.data, m.rows, m.cols, m.stride, m.transposed) {}

  // For reading only: the result of a product is never a transpose.
  MatrixView<const Number> T() const { return {data, cols, rows, stride, !transposed}; }
  Number* row(std::size_t i) const { return data + i * stride; }  // unless transposed
  MatrixView row_range(std::size_t begin, std::size_t end) const {
    return {moved(begin * (transposed ? 1 : stride)), end - begin, cols, stride, transposed};
  }
  MatrixView col_range(std::size_t begin, std::size_t end) const {
    return {moved(begin * (transposed ? stride : 1)), rows, end - begin, stride, transposed};
  }

 private:
  // The data of an empty array is null, to which nothing may be added.
  Number* moved(std::size_t n) const { return data == nullptr ? nullptr : data + n; }
};
using Matrix = MatrixView<const Real>;
using MutableMatrix = MatrixView<Real>;

// The numbers of a, its last axis as columns and all others as rows.
MutableMatrix matrix(Array& a);
Matrix matrix(const Array& a);
Matrix matrix(const Array&& a) = delete;  // a temporary would die before its view

// So many multiplications of a product are worth handing to a thread.
constexpr std::size_t kProductGrain = 1 << 20;

// While one lives, what the library needs before and after a product is done once for all of this
// thread's products. For oneDNN these are system calls, dearer than a small product.
class ManyProducts {
 public:
  ManyProducts();
  ~ManyProducts();
  ManyProducts(const ManyProducts&) = delete;
  ManyProducts& operator=(const ManyProducts&) = delete;
};

// c[m,n] = a[m,k] . b[k,n] + beta * c
void gemm(Matrix a, Matrix b, Real beta, MutableMatrix c);

// The same in this thread alone. Sizes agree, none is 0, and all fit in 31 bits.
void gemm_alone(Matrix a, Matrix b, Real beta, MutableMatrix c);
// The same in plain loops: what it means, and what libraries are tested against.
void gemm_plain(Matrix a, Matrix b, Real beta, MutableMatrix c);

}  // namespace gradwalk
