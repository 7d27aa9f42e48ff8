#include "core/machine/blas.hpp"

#include "core/error.hpp"
#include "core/machine/threads.hpp"

namespace gradwalk {

MutableMatrix matrix(Array& a) {
  std::size_t rows = 1;
  for (std::size_t axis = 0; axis + 1 < a.dimension(); ++axis) rows *= a.shape(axis);
  return {a.data(), rows, a.dimension() == 0 ? 1 : a.shape().back()};
}
Matrix matrix(const Array& a) { return matrix(const_cast<Array&>(a)); }

void gemm_plain(Matrix a, Matrix b, Real beta, MutableMatrix c) {
  const auto steps = [](Matrix m) {  // from a row to the next, and from a column
    return m.transposed ? std::pair<std::size_t, std::size_t>(1, m.stride)
                        : std::pair(m.stride, std::size_t{1});
  };
  const auto [a_row, a_col] = steps(a);
  const auto [b_row, b_col] = steps(b);
  for (std::size_t i = 0; i < c.rows; ++i) {
    Real* y = c.row(i);
    for (std::size_t j = 0; j < c.cols; ++j) y[j] = beta == 0 ? 0 : beta * y[j];
    for (std::size_t k = 0; k < a.cols; ++k) {
      const Real u = a.data[i * a_row + k * a_col];
      const Real* row = b.data + k * b_row;
      if (b_col == 1) {  // apart, for a loop that vectorises
        for (std::size_t j = 0; j < c.cols; ++j) y[j] += u * row[j];
      } else {
        for (std::size_t j = 0; j < c.cols; ++j) y[j] += u * row[j * b_col];
      }
    }
  }
}

constexpr std::size_t kTiny = 4096;  // multiplications

void gemm(Matrix a, Matrix b, Real beta, MutableMatrix c) {
  const std::size_t m = c.rows, n = c.cols, k = a.cols;
  check(a.rows == m && b.rows == k && b.cols == n, "gemm: sizes must agree, got ", a.rows, " x ",
        a.cols, " times ", b.rows, " x ", b.cols, " into ", m, " x ", n);
  if (m == 0 || n == 0) return;
  check(std::max({m, n, k, a.stride, b.stride, c.stride}) <= INT32_MAX,
        "gemm: sizes must fit in 31 bits, got ", m, " x ", k, " times ", k, " x ", n,
        ", rows in memory ", a.stride, ", ", b.stride, " and ", c.stride);
  // Over before a library would have begun, unless its rows are too short for a loop.
  if (m * n * k <= (n < 8 ? kTiny / 64 : kTiny)) {
    const FlushSubnormals flush;
    return gemm_plain(a, b, beta, c);
  }
  const std::size_t worth = kProductGrain / std::max<std::size_t>(k, 1);
  if (m >= n) {  // each thread some rows of c
    parallel_ranges(m, worth / n + 8, [&](std::size_t begin, std::size_t end) {
      gemm_alone(a.row_range(begin, end), b, beta, c.row_range(begin, end));
    });
  } else {  // some columns
    parallel_ranges(n, worth / m + 8, [&](std::size_t begin, std::size_t end) {
      gemm_alone(a, b.col_range(begin, end), beta, c.col_range(begin, end));
    });
  }
}

}  // namespace gradwalk
