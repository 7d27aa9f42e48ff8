// Convolution over time: the windows of x laid out one below the other, and one matrix product.
#include <limits>

#include "core/error.hpp"
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

}  // namespace

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
  const Tensor windows =
      unfold(padding == 0 ? x : pad(x, 2, padding, padding), K, stride, dilation);
  return transpose(linear(windows, reshape(weight, {out, C * K}), bias), 1, 2);
}

}  // namespace gradwalk
