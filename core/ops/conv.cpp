// Convolution over time: the windows of x laid out one below the other, and one matrix product; or,
// in the usual case, as they lie.
#include "core/ops/conv.hpp"

#include <limits>

#include "core/error.hpp"
#include "core/machine/blas.hpp"
#include "core/ops.hpp"

namespace gradwalk {
namespace {

// a * b + c. Sizes that a user passes must not wrap around to a small number.
std::size_t multiply_add(const char* op, std::size_t a, std::size_t b, std::size_t c) {
  check(b == 0 || a <= (std::numeric_limits<std::size_t>::max() - c) / b, op,
        ": sizes must not overflow, got ", a, " * ", b, " + ", c, "; was one of them negative?");
  return a * b + c;
}

// How many windows of K elements, `dilation` apart, start `stride` apart within `length` elements.
std::size_t count_windows(const char* op, std::size_t length, std::size_t K, std::size_t stride,
                          std::size_t dilation) {
  // A negative number has become a huge size: read as signed it is what the user passed.
  const auto given = [](std::size_t n) { return static_cast<std::ptrdiff_t>(n); };
  check(given(K) > 0 && given(stride) > 0 && given(dilation) > 0, op,
        ": kernel_size, stride and dilation must be positive, got ", given(K), ", ", given(stride),
        " and ", given(dilation));
  const std::size_t span = multiply_add(op, K - 1, dilation, 1);
  check(span <= length, op, ": a window spans ", span, " steps, got ", length, "; pad more");
  return (length - span) / stride + 1;
}

// Walks over windows [N, count, C*K] in order and calls f(i, j) with the place i in x [N, C, L] of
// each of their elements j.
template <class F>
void for_each_element(const Shape& x, std::size_t count, std::size_t K, std::size_t stride,
                      std::size_t dilation, F f) {
  const std::size_t N = x[0], C = x[1], L = x[2];
  std::size_t j = 0;
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t w = 0; w < count; ++w) {
      for (std::size_t c = 0; c < C; ++c) {
        const std::size_t first = (n * C + c) * L + w * stride;
        for (std::size_t k = 0; k < K; ++k) f(first + k * dilation, j++);
      }
    }
  }
}

// Convolution with stride and dilation 1, without laying windows out. In x [N, L, C] a window is K
// steps in a row, K*C numbers. Every K-th of them, from step r on, are rows of a matrix that needs
// no copy: K products, one for each r, make them all. A window that runs from one sequence into the
// next is computed as well, and dropped.
struct Windows {
  std::size_t N, L, C, K, out;  // of y [N, L - K + 1, out] and w [out, K*C]
  Windows(const Tensor& x, std::size_t k, std::size_t num_out)
      : N(x.shape(0)), L(x.shape(1)), C(x.shape(2)), K(k), out(num_out) {}
  std::size_t count() const { return L - K + 1; }

  // Calls f(windows from step r on, their rows of y [N, L, out]) for each r.
  template <class Y, class F>
  void for_each_offset(const Array& x, Y& y, const F& f) const {
    for (std::size_t r = 0; r < K && N * L >= r + K; ++r) {
      const std::size_t rows = (N * L - r) / K;
      f(Matrix(x.data() + r * C, rows, K * C),
        decltype(matrix(y))(y.data() + r * out, rows, out, K * out));
    }
  }
};

// w [out, K, C] for the way back: [C, K, out], with its steps in reverse
Tensor flipped(const Tensor& w) {
  const std::size_t out = w.shape(0), K = w.shape(1), C = w.shape(2);
  Indices steps = empty<Indices>({K});
  for (std::size_t k = 0; k < K; ++k) steps.data()[k] = static_cast<std::int64_t>(K - 1 - k);
  const Tensor rows = reshape(permute(w, {1, 2, 0}), {K, C * out});  // one for each step
  return permute(reshape(gather_rows(rows, steps, {}, false), {K, C, out}), {1, 0, 2});
}

}  // namespace

Tensor windows_product(const Tensor& x, const Tensor& w) {
  const std::size_t K = w.shape(1);
  const Windows size(x, K, w.shape(0));
  Array wide = empty({size.N, size.L, size.out}), y = empty({size.N, size.count(), size.out});
  const Matrix weights(w.value().data(), size.out, K * size.C);
  size.for_each_offset(x.value(), wide, [&](const Matrix& windows, const MutableMatrix& rows) {
    gemm(windows, weights.T(), 0, rows);
  });
  const std::size_t from = size.L * size.out, to = size.count() * size.out;
  for (std::size_t n = 0; n < size.N; ++n)
    std::copy_n(wide.data() + n * from, to, y.data() + n * to);
  return record("windows_product", {x, w}, std::move(y),
                [x, w, K](const Tensor&, const Tensor& dy) -> Gradients {
                  Gradients d(2);
                  if (x.requires_grad())  // dL/dx: what all windows with a step give to it
                    d[0] = windows_product(pad(dy, 1, K - 1, K - 1), flipped(w));
                  if (w.requires_grad()) d[1] = windows_weight(x, dy, K);  // dL/dw
                  return d;
                });
}

Tensor windows_weight(const Tensor& x, const Tensor& dy, std::size_t K) {
  const Windows size(x, K, dy.shape(2));
  Array w = full({size.out, K, size.C}, 0);
  const Array wide = pad(dy.detach(), 1, 0, K - 1).value();  // zero where a window is none
  const MutableMatrix weights(w.data(), size.out, K * size.C);
  size.for_each_offset(x.value(), wide, [&](const Matrix& windows, const Matrix& rows) {
    gemm(rows.T(), windows, 1, weights);
  });
  return record("windows_weight", {x, dy}, std::move(w),
                [x, dy, K](const Tensor&, const Tensor& g) -> Gradients {
                  Gradients d(2);
                  if (x.requires_grad())
                    d[0] = windows_product(pad(dy, 1, K - 1, K - 1), flipped(g));  // dL/dx
                  if (dy.requires_grad()) d[1] = windows_product(x, g);            // dL/d(dy)
                  return d;
                });
}

Tensor unfold(const Tensor& x, std::size_t K, std::size_t stride, std::size_t dilation) {
  check(x.dim() == 3, "unfold: needs x [N, C, L], got ", x.shape());
  const std::size_t length = x.shape(2),
                    count = count_windows("unfold", length, K, stride, dilation);
  Array y = empty({x.shape(0), count, x.shape(1) * K});
  const Real* from = x.value().data();
  for_each_element(x.shape(), count, K, stride, dilation,
                   [&, to = y.data()](std::size_t i, std::size_t j) { to[j] = from[i]; });
  return record("unfold", {x}, std::move(y), [=](const Tensor&, const Tensor& dy) -> Gradients {
    return {fold(dy, length, K, stride, dilation)};  // dL/dx: the sum over windows
  });
}

Tensor fold(const Tensor& windows, std::size_t length, std::size_t K, std::size_t stride,
            std::size_t dilation) {
  const std::size_t count = count_windows("fold", length, K, stride, dilation);
  check(windows.dim() == 3 && windows.shape(1) == count && windows.shape(2) % K == 0,
        "fold: needs windows [N, ", count, ", C*", K, "], got ", windows.shape());
  Array y = full({windows.shape(0), windows.shape(2) / K, length}, 0);
  const Real* from = windows.value().data();
  for_each_element(y.shape(), count, K, stride, dilation,
                   [&, to = y.data()](std::size_t i, std::size_t j) { to[i] += from[j]; });
  return record("fold", {windows}, std::move(y), [=](const Tensor&, const Tensor& dy) -> Gradients {
    return {unfold(dy, K, stride, dilation)};  // dL/dwindows: where each was added
  });
}

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, std::size_t stride,
              std::size_t padding, std::size_t dilation) {
  check(x.dim() == 3 && weight.dim() == 3 && x.shape(1) == weight.shape(1),
        "conv1d: needs x [N, C, L] and a weight [out, C, K], got ", x.shape(), " and ",
        weight.shape());
  const std::size_t out = weight.shape(0), C = weight.shape(1), K = weight.shape(2);
  check(!bias.defined() || bias.shape() == Shape{out}, "conv1d: the bias must be [", out, "], got ",
        bias.defined() ? bias.shape() : Shape{});
  count_windows("conv1d", multiply_add("conv1d", 2, padding, x.shape(2)), K, stride, dilation);
  const Tensor padded = padding == 0 ? x : pad(x, 2, padding, padding);
  if (stride == 1 && dilation == 1) {
    const Tensor y = windows_product(transpose(padded, 1, 2), transpose(weight, 1, 2));
    return transpose(bias.defined() ? y + bias : y, 1, 2);
  }
  const Tensor windows = unfold(padded, K, stride, dilation);
  return transpose(linear(windows, reshape(weight, {out, C * K}), bias), 1, 2);
}

}  // namespace gradwalk
