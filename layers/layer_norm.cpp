#include "layers/layer_norm.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"
#include "core/machine/loop.hpp"
#include "core/twin.hpp"

namespace gradwalk {
namespace {

// Of each row of x [n, width] its mean m and r = 1 / sqrt(variance + eps).
struct Moments {
  Array m, r;
};

// x's row: dx = r (g - mean(g) - z mean(g z)) with z = (x - m) r and g = dy weight; what dy gives
// to weight and bias is added up.
void row_backward(std::size_t width, const Real* __restrict x, Real m, Real r,
                  const Real* __restrict weight, const Real* __restrict dy, Real* __restrict dx,
                  Real* __restrict dweight, Real* __restrict dbias) {
  double g_sum = 0, gz_sum = 0;
#pragma omp simd reduction(+ : g_sum, gz_sum)
  for (std::size_t j = 0; j < width; ++j) {
    const Real g = dy[j] * weight[j];
    g_sum += g;
    gz_sum += g * ((x[j] - m) * r);
  }
  const double n = static_cast<double>(width);
  const Real g_mean = Real(g_sum / n), gz_mean = Real(gz_sum / n);
  for (std::size_t j = 0; j < width; ++j) {
    const Real z = (x[j] - m) * r;
    dx[j] = r * (dy[j] * weight[j] - g_mean - z * gz_mean);
    dweight[j] += dy[j] * z;
    dbias[j] += dy[j];
  }
}

Gradients backward(const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const Moments& moments, const Tensor& dy) {
  const std::size_t width = weight.size(), rows = x.size() / width;
  const std::size_t parts = std::clamp<std::size_t>(x.size() / kernels::kGrain, 1, num_threads());
  Array dx = empty(x.shape());
  std::vector<Array> dweight(parts, full(weight.shape(), 0)), dbias = dweight;
  const Real *xs = x.value().data(), *w = weight.value().data(), *dys = dy.value().data();
  parallel(parts, [&](std::size_t k) {  // each with sums of its own
    for (std::size_t i = rows * k / parts; i < rows * (k + 1) / parts; ++i)
      row_backward(width, xs + i * width, moments.m.data()[i], moments.r.data()[i], w,
                   dys + i * width, dx.data() + i * width, dweight[k].data(), dbias[k].data());
  });
  for (std::size_t k = 1; k < parts; ++k) {
    kernels::add(width, dweight[k].data(), dweight[0].data());
    kernels::add(width, dbias[k].data(), dbias[0].data());
  }
  Gradients d{Tensor(std::move(dx)), {}, {}};
  if (weight.requires_grad()) d[1] = Tensor(std::move(dweight[0]));
  if (bias.requires_grad()) d[2] = Tensor(std::move(dbias[0]));
  return d;
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Real eps) {
  const std::size_t width = weight.size(), rows = x.size() / width;
  Array y = empty(x.shape());
  Moments moments{empty({rows}), empty({rows})};
  const Real *xs = x.value().data(), *w = weight.value().data(), *b = bias.value().data();
  parallel_ranges(rows, kernels::kGrain / width, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const Real* __restrict row = xs + i * width;
      Real* __restrict out = y.data() + i * width;
      const double n = static_cast<double>(width);
      const Real m = Real(sum_terms(0, width, [=](std::size_t j) { return row[j]; }) / n);
      const double variance =
          sum_terms(0, width, [=](std::size_t j) { return (row[j] - m) * (row[j] - m); }) / n;
      const Real r = Real(1 / std::sqrt(variance + double{eps}));
      for (std::size_t j = 0; j < width; ++j) out[j] = (row[j] - m) * r * w[j] + b[j];
      moments.m.data()[i] = m;
      moments.r.data()[i] = r;
    }
  });
  return record("layer_norm", {x, weight, bias}, std::move(y),
                [=](const Tensor&, const Tensor& dy) -> Gradients {
                  if (grad_enabled())
                    return differentiate_twin({x, weight, bias}, {dy}, [eps](const Tensors& in) {
                      return Tensors{layer_norm_composed(in[0], in[1], in[2], eps)};
                    });
                  return backward(x, weight, bias, moments, dy);
                });
}

Tensor layer_norm_composed(const Tensor& x, const Tensor& weight, const Tensor& bias, Real eps) {
  Axes last(weight.dim());
  std::iota(last.begin(), last.end(), x.dim() - weight.dim());
  const Tensor centred = x - mean(x, last, true);
  return centred / sqrt(mean(centred * centred, last, true) + eps) * weight + bias;
}

LayerNorm::LayerNorm(Shape normalized_shape, const LayerNormOptions& options)
    : normalized_shape_(std::move(normalized_shape)), eps_(static_cast<Real>(options.eps)) {
  check(size_of(normalized_shape_) > 0 && !normalized_shape_.empty(),
        "layer_norm: normalized_shape must hold positive sizes, got ", normalized_shape_);
  check(options.eps >= 0 && std::isfinite(eps_), "layer_norm: eps must be in [0, inf), got ",
        options.eps);
  const Array one = full(normalized_shape_, 1), zero = full(normalized_shape_, 0);
  weight_ = options.elementwise_affine ? parameter("weight", one) : Tensor(one);
  bias_ = options.elementwise_affine ? parameter("bias", zero) : Tensor(zero);
}

Tensor LayerNorm::operator()(const Tensor& x) const {
  const Shape& shape = x.shape();
  check(shape.size() >= normalized_shape_.size() &&
            std::equal(normalized_shape_.rbegin(), normalized_shape_.rend(), shape.rbegin()),
        "layer_norm: input ", shape, " must end in ", normalized_shape_);
  return layer_norm(x, weight_, bias_, eps_);
}

}  // namespace gradwalk
