// Convolution over time: with stride 1 a product for each step of the kernel; else the windows of x
// laid out one below the other, and one product.
#include "core/ops/conv.hpp"

#include <limits>

#include "core/error.hpp"
#include "core/machine/blas.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
#include "core/ops.hpp"

namespace gradwalk {
namespace {

constexpr std::size_t kShort = 1 << 14;  // multiplications for one sequence and kernel step

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

// Calls f(i, j) for each element of windows [N, count, C*K]: j is its place, i the place in
// x [N, C, L] of what it copies. Threads split the sequences.
template <class F>
void for_each_element(const Shape& x, std::size_t count, std::size_t K, std::size_t stride,
                      std::size_t dilation, const F& f) {
  const std::size_t C = x[1], L = x[2], width = C * K;
  parallel_ranges(x[0], kernels::kGrain / (count * width + 1) + 1,
                  [=](std::size_t begin, std::size_t end) {
                    for (std::size_t n = begin; n < end; ++n) {
                      for (std::size_t column = 0; column < width; ++column) {
                        const std::size_t c = column / K, k = column % K;
                        const std::size_t from = (n * C + c) * L + k * dilation;
                        for (std::size_t w = 0; w < count; ++w)
                          f(from + w * stride, (n * count + w) * width + column);
                      }
                    }
                  });
}

// Of sequence or step i of a [*, rows, cols]: `length` columns from `first` on.
template <class A>
auto part(A& a, std::size_t i, std::size_t first, std::size_t length) {
  const std::size_t rows = a.shape(1), cols = a.shape(2);
  return decltype(matrix(a))(a.data() + i * rows * cols, rows, cols)
      .col_range(first, first + length);
}

// Calls f(k, from_x, from_y, length) for each step k of the kernel: so many columns of y, from
// from_y on, take from the columns of x from from_x on. Other columns meet the padding there.
template <class F>
void for_each_step(const Slide& s, const F& f) {
  for (std::size_t k = 0; k < s.K; ++k) {
    const std::size_t shift = k * s.dilation, from = std::max(s.padding, shift) - shift,
                      to = std::min(s.L_out, std::max(s.L + s.padding, shift) - shift);
    if (from < to)
      f(k, (from + shift - s.padding) * s.width, from * s.width, (to - from) * s.width);
  }
}

}  // namespace

Tensor conv1d_output(const Slide& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const std::size_t N = x.shape(0), out = w.shape(1), C = w.shape(2), count = s.L_out * s.width;
  Array y = empty({N, out, count});
  const std::size_t work = s.K * out * C * count;  // of one sequence
  const Array &xs = x.value(), &ws = w.value();
  parallel_ranges(N, kProductGrain / (work + 1) + 1, [&](std::size_t begin, std::size_t end) {
    const ManyProducts many;
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t o = 0; o < out; ++o)
        std::fill_n(part(y, n, 0, count).row(o), count, bias.defined() ? bias.value()(o) : 0);
      for_each_step(
          s, [&](std::size_t k, std::size_t from_x, std::size_t from_y, std::size_t length) {
            gemm(part(ws, k, 0, C), part(xs, n, from_x, length), 1, part(y, n, from_y, length));
          });
    }
  });
  Tensors inputs{x, w};
  if (bias.defined()) inputs.push_back(bias);
  return record("conv1d", inputs, std::move(y),
                [s, x, w, bias](const Tensor&, const Tensor& dy) -> Gradients {
                  Gradients d(bias.defined() ? 3 : 2);
                  if (x.requires_grad()) d[0] = conv1d_input(s, dy, w);
                  if (w.requires_grad()) d[1] = conv1d_weight(s, x, dy);
                  if (bias.requires_grad()) d[2] = sum(dy, {0, 2});
                  return d;
                });
}

Tensor conv1d_input(const Slide& s, const Tensor& y, const Tensor& w) {
  const std::size_t N = y.shape(0), C = w.shape(2);
  Array x = full({N, C, s.L * s.width}, 0);
  const std::size_t work = s.K * w.shape(1) * C * s.L_out * s.width;
  const Array &ys = y.value(), &ws = w.value();
  parallel_ranges(N, kProductGrain / (work + 1) + 1, [&](std::size_t begin, std::size_t end) {
    const ManyProducts many;
    for (std::size_t n = begin; n < end; ++n)
      for_each_step(
          s, [&](std::size_t k, std::size_t from_x, std::size_t from_y, std::size_t length) {
            gemm(part(ws, k, 0, C).T(), part(ys, n, from_y, length), 1, part(x, n, from_x, length));
          });
  });
  return record("conv1d_input", {y, w}, std::move(x),
                [s, y, w](const Tensor&, const Tensor& dx) -> Gradients {
                  Gradients d(2);
                  if (y.requires_grad()) d[0] = conv1d_output(s, dx, w, {});
                  if (w.requires_grad()) d[1] = conv1d_weight(s, dx, y);
                  return d;
                });
}

Tensor conv1d_weight(const Slide& s, const Tensor& x, const Tensor& y) {
  const std::size_t N = x.shape(0), C = x.shape(1), out = y.shape(1);
  Array w = full({s.K, out, C}, 0);
  const std::size_t work = s.K * N * C * s.L_out * s.width;  // of one row
  const Array &xs = x.value(), &ys = y.value();
  parallel_ranges(out, kProductGrain / (work + 1) + 1, [&](std::size_t begin, std::size_t end) {
    const ManyProducts many;
    for (std::size_t n = 0; n < N; ++n)
      for_each_step(
          s, [&](std::size_t k, std::size_t from_x, std::size_t from_y, std::size_t length) {
            gemm(part(ys, n, from_y, length).row_range(begin, end), part(xs, n, from_x, length).T(),
                 1, part(w, k, 0, C).row_range(begin, end));
          });
  });
  return record("conv1d_weight", {x, y}, std::move(w),
                [s, x, y](const Tensor&, const Tensor& dw) -> Gradients {
                  Gradients d(2);
                  if (x.requires_grad()) d[0] = conv1d_input(s, y, dw);
                  if (y.requires_grad()) d[1] = conv1d_output(s, x, dw, {});
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
  const std::size_t N = x.shape(0), L = x.shape(2),
                    count = count_windows("conv1d", multiply_add("conv1d", 2, padding, L), K,
                                          stride, dilation);
  if (stride > 1) {
    const Tensor padded = padding == 0 ? x : pad(x, 2, padding, padding),
                 windows = unfold(padded, K, stride, dilation);
    return transpose(linear(windows, reshape(weight, {out, C * K}), bias), 1, 2);
  }
  const Tensor w = permute(weight, {2, 0, 1});
  // small products cost more to start than to compute: all sequences in one, if it fits in 31 bits
  if (N < 2 || N > INT32_MAX / std::max(L, count) || out * C * count >= kShort)
    return conv1d_output({L, K, count, padding, dilation}, x, w, bias);
  const Tensor wide = reshape(permute(x, {1, 2, 0}), {1, C, L * N}),
               y = conv1d_output({L, K, count, padding, dilation, N}, wide, w, bias);
  return permute(reshape(y, {out, count, N}), {2, 0, 1});
}

}  // namespace gradwalk
