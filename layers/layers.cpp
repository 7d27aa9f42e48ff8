#include "layers/layers.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"

namespace gradwalk {
namespace {

Array uniform_within(const Shape& shape, std::size_t fan, Generator& generator) {
  const Real bound =
      fan == 0 ? Real(0) : static_cast<Real>(1 / std::sqrt(static_cast<double>(fan)));
  return uniform(shape, -bound, bound, generator);
}

}  // namespace

Linear::Linear(std::size_t in_features, std::size_t out_features, Generator& generator, bool bias)
    : weight_(parameter("weight",
                        uniform_within({out_features, in_features}, in_features, generator))) {
  if (bias) bias_ = parameter("bias", uniform_within({out_features}, in_features, generator));
}

Conv1d::Conv1d(std::size_t in_channels, std::size_t out_channels, std::size_t kernel_size,
               Generator& generator, const Conv1dOptions& options)
    : options_(options),
      weight_(parameter("weight", uniform_within({out_channels, in_channels, kernel_size},
                                                 in_channels * kernel_size, generator))) {
  if (options.bias)
    bias_ = parameter("bias", uniform_within({out_channels}, in_channels * kernel_size, generator));
}

Dropout::Dropout(double p, Generator& generator) : p_(p), generator_(generator) {
  check(p >= 0 && p < 1, "dropout: the probability must be in [0, 1), got ", p);
}

Tensor L1Loss::operator()(const Tensor& x, const Tensor& target) const {
  check(x.shape() == target.shape(), "l1_loss: shapes must be equal, got ", x.shape(), " and ",
        target.shape());
  return reduce(abs(x - target), reduction_);
}

LayerNorm::LayerNorm(Shape normalized_shape, const LayerNormOptions& options)
    : normalized_shape_(std::move(normalized_shape)), eps_(static_cast<Real>(options.eps)) {
  check(size_of(normalized_shape_) > 0 && !normalized_shape_.empty(),
        "layer_norm: normalized_shape must hold positive sizes, got ", normalized_shape_);
  if (!options.elementwise_affine) return;
  weight_ = parameter("weight", full(normalized_shape_, 1));
  bias_ = parameter("bias", full(normalized_shape_, 0));
}

Tensor LayerNorm::operator()(const Tensor& x) const {
  const Shape shape = x.shape();
  const std::size_t n = normalized_shape_.size();
  check(shape.size() >= n &&
            std::equal(normalized_shape_.rbegin(), normalized_shape_.rend(), shape.rbegin()),
        "layer_norm: input ", shape, " must end in ", normalized_shape_);
  Axes last(n);
  std::iota(last.begin(), last.end(), shape.size() - n);
  const Tensor centred = x - mean(x, last, true);
  const Tensor y = centred / sqrt(mean(centred * centred, last, true) + eps_);
  return weight_.defined() ? y * weight_ + bias_ : y;
}

}  // namespace gradwalk
