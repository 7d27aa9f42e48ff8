#include "core/machine/kernels.hpp"

#include <algorithm>
#include <limits>

#include "core/machine/loop.hpp"

namespace gradwalk::kernels {

void add(std::size_t n, const Real* x, Real* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] += x[i];
}

void add_scaled(std::size_t n, Real c, const Real* x, Real* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] += c * x[i];
}

void scale(std::size_t n, Real c, Real* y) {
  const FlushSubnormals flush;
  for (std::size_t i = 0; i < n; ++i) y[i] *= c;
}

// In blocks of a fixed size, so that the sum does not depend on the number of threads.
template <class F>
static double sum_blocks(std::size_t n, F term) {
  constexpr std::size_t kBlock = 1 << 15;
  if (n <= kBlock) return sum_terms(0, n, term);
  std::vector<double> sums((n + kBlock - 1) / kBlock);
  parallel_ranges(sums.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t k = begin; k < end; ++k)
      sums[k] = sum_terms(k * kBlock, std::min(n, (k + 1) * kBlock), term);
  });
  return sum_terms(0, sums.size(), [&](std::size_t k) { return sums[k]; });
}

Real sum_many(std::size_t n, const Real* x) {
  return static_cast<Real>(sum_blocks(n, [x](std::size_t i) { return x[i]; }));
}

Real dot(std::size_t n, const Real* x, const Real* y) {
  return static_cast<Real>(sum_blocks(n, [x, y](std::size_t i) { return double(x[i]) * y[i]; }));
}

double sum_of_squares(std::size_t n, const Real* x) {
  return sum_blocks(n, [x](std::size_t i) { return static_cast<double>(x[i]) * x[i]; });
}

double squared_distance(std::size_t n, const Real* x, const Real* y, Real c, Real* d) {
  const FlushSubnormals flush;
  if (d == nullptr)
    return sum_blocks(n, [=](std::size_t i) { return double(x[i] - y[i]) * (x[i] - y[i]); });
  return sum_blocks(n, [=](std::size_t i) {
    const Real difference = x[i] - y[i];
    d[i] = c * difference;
    return double(difference) * difference;
  });
}

void gather_rows(std::size_t n, std::size_t width, const std::int64_t* rows, const Real* table,
                 Real* out) {
  parallel_ranges(n, kGrain / (width + 1), [=](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      prefetch_row(i, n, width, rows, table);
      std::copy_n(table + static_cast<std::size_t>(rows[i]) * width, width, out + i * width);
    }
  });
}

void scatter_add_rows(std::size_t n, std::size_t width, const std::int64_t* rows,
                      const Real* values, Real* out) {
  for_sums(n, width, rows, [=](std::size_t begin, std::size_t end, auto mine) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t row = static_cast<std::size_t>(rows[i]);
      if (mine(row)) add(width, values + i * width, out + row * width);
    }
  });
}

void broadcast_row(std::size_t n, std::size_t width, const Real* row, Real* y) {
  for (std::size_t i = 0; i < n; ++i) std::copy_n(row, width, y + i * width);
}

void transpose(std::size_t n, std::size_t width, const Real* x, std::size_t x_step, Real* y,
               std::size_t y_step) {
  // In blocks, so that each cache line is fetched once; by way of a buffer, as the rows of a block
  // may stand so far apart that they displace each other.
  constexpr std::size_t kRows = 16, kColumns = 64;
  Real block[kRows][kColumns];
  for (std::size_t i = 0; i < n; i += kRows) {
    const std::size_t rows = std::min(kRows, n - i);
    for (std::size_t j = 0; j < width; j += kColumns) {
      const std::size_t columns = std::min(kColumns, width - j);
      for (std::size_t a = 0; a < rows; ++a)
        std::copy_n(x + (i + a) * x_step + j, columns, block[a]);
      for (std::size_t b = 0; b < columns; ++b) {
        Real* to = y + (j + b) * y_step + i;
        if (rows == kRows) {  // apart, for a loop of a fixed length
          for (std::size_t a = 0; a < kRows; ++a) to[a] = block[a][b];
        } else {
          for (std::size_t a = 0; a < rows; ++a) to[a] = block[a][b];
        }
      }
    }
  }
}

Real max(std::size_t n, const Real* x) {
  constexpr std::size_t kLanes = 16;
  Real most = -std::numeric_limits<Real>::infinity();
  std::size_t i = 0;
  if (n >= kLanes) {
    Real lane[kLanes];
    std::copy_n(x, kLanes, lane);
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
#pragma omp simd
      for (std::size_t k = 0; k < kLanes; ++k) lane[k] = maximum(lane[k], x[i + k]);
    }
    for (const Real v : lane) most = maximum(most, v);
  }
  for (; i < n; ++i) most = maximum(most, x[i]);
  return most;
}

// log sum_j exp(x[j] - top), in blocks, as exp1 is only vectorised apart from the sum.
static Real log_sum_exp(std::size_t width, const Real* x, Real top) {
  constexpr std::size_t kBlock = 256;
  Real e[kBlock];
  double sum = 0;
  for (std::size_t j = 0; j < width; j += kBlock) {
    const std::size_t n = std::min(kBlock, width - j);
    for (std::size_t k = 0; k < n; ++k) e[k] = exp1(x[j + k] - top);
    sum += sum_terms(0, n, [&e](std::size_t k) { return e[k]; });
  }
  return static_cast<Real>(std::log(sum));
}

// Softmax, or its logarithm, of one row.
template <bool kLog>
static void softmax_row(std::size_t width, const Real* x, Real* y) {
  const Real top = max(width, x);
  if constexpr (kLog) {
    // not x - (top + log_sum): added to a top of 1000 the logarithm would lose digits
    const Real log_sum = log_sum_exp(width, x, top);
    for (std::size_t j = 0; j < width; ++j) y[j] = (x[j] - top) - log_sum;
  } else {
    for (std::size_t j = 0; j < width; ++j) y[j] = exp1(x[j] - top);
    const Real sum = kernels::sum(width, y);
    for (std::size_t j = 0; j < width; ++j) y[j] /= sum;
  }
}

// The same of `count` columns at once, each n numbers that are `step` apart. x may be y.
constexpr std::size_t kSoftmaxColumns = 64;
template <bool kLog>
static void softmax_columns(std::size_t n, std::size_t count, std::size_t step, const Real* x,
                            Real* y) {
  Real top[kSoftmaxColumns], log_sum[kSoftmaxColumns];
  double sum[kSoftmaxColumns] = {};
  std::fill_n(top, count, -std::numeric_limits<Real>::infinity());
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t j = 0; j < count; ++j) top[j] = maximum(top[j], x[k * step + j]);
  }
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t j = 0; j < count; ++j) {
      const Real e = exp1(x[k * step + j] - top[j]);
      sum[j] += e;
      if constexpr (!kLog) y[k * step + j] = e;
    }
  }
  if constexpr (kLog) {
    for (std::size_t j = 0; j < count; ++j) log_sum[j] = log1p1(static_cast<Real>(sum[j] - 1));
  }
  for (std::size_t k = 0; k < n; ++k) {
    Real* row = y + k * step;
    for (std::size_t j = 0; j < count; ++j)
      row[j] = kLog ? (x[k * step + j] - top[j]) - log_sum[j] : row[j] / static_cast<Real>(sum[j]);
  }
}

template <bool kLog>
static void softmax_over(std::size_t outer, std::size_t n, std::size_t inner, const Real* x,
                         Real* y) {
  constexpr std::size_t kNarrow = 32;
  if (outer * n * inner == 0) return;
  const std::size_t work = 8 * n + 1;  // of one row or column
  if (inner > 1) {
    const std::size_t blocks = (inner + kSoftmaxColumns - 1) / kSoftmaxColumns;
    parallel_ranges(
        outer * blocks, kGrain / (work * std::min(inner, kSoftmaxColumns)) + 1,
        [=](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) {
            const std::size_t j = i % blocks * kSoftmaxColumns, at = i / blocks * n * inner + j;
            softmax_columns<kLog>(n, std::min(kSoftmaxColumns, inner - j), inner, x + at, y + at);
          }
        });
  } else if (n >= kNarrow) {
    parallel_ranges(outer, kGrain / work + 1, [=](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) softmax_row<kLog>(n, x + i * n, y + i * n);
    });
  } else {  // rows shorter than what the processor computes at once: as columns
    parallel_ranges((outer + kSoftmaxColumns - 1) / kSoftmaxColumns,
                    kGrain / (work * kSoftmaxColumns) + 1, [=](std::size_t begin, std::size_t end) {
                      Real block[kNarrow * kSoftmaxColumns];
                      for (std::size_t i = begin * kSoftmaxColumns;
                           i < std::min(outer, end * kSoftmaxColumns); i += kSoftmaxColumns) {
                        const std::size_t rows = std::min(kSoftmaxColumns, outer - i);
                        const auto at = [=](std::size_t r, std::size_t k) {
                          return (i + r) * n + k;
                        };
                        for (std::size_t k = 0; k < n; ++k)
                          for (std::size_t r = 0; r < rows; ++r) block[k * rows + r] = x[at(r, k)];
                        softmax_columns<kLog>(n, rows, rows, block, block);
                        for (std::size_t r = 0; r < rows; ++r)
                          for (std::size_t k = 0; k < n; ++k) y[at(r, k)] = block[k * rows + r];
                      }
                    });
  }
}

void softmax(std::size_t outer, std::size_t n, std::size_t inner, const Real* x, Real* y) {
  softmax_over<false>(outer, n, inner, x, y);
}

void log_softmax(std::size_t outer, std::size_t n, std::size_t inner, const Real* x, Real* y) {
  softmax_over<true>(outer, n, inner, x, y);
}

void log_sum_rows(std::size_t n, std::size_t width, const Real* x, Real* top, Real* log_sum) {
  parallel_ranges(n, kGrain / (8 * width + 1), [=](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      top[i] = max(width, x + i * width);
      log_sum[i] = log_sum_exp(width, x + i * width, top[i]);
    }
  });
}

}  // namespace gradwalk::kernels
