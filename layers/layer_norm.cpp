#include "layers/layer_norm.hpp"

#include <algorithm>
#include <numeric>

#include "core/error.hpp"

namespace gradwalk {

LayerNorm::LayerNorm(Shape normalized_shape, const LayerNormOptions& options)
    : normalized_shape_(std::move(normalized_shape)), eps_(static_cast<Real>(options.eps)) {
  check(size_of(normalized_shape_) > 0 && !normalized_shape_.empty(),
        "layer_norm: normalized_shape must hold positive sizes, got ", normalized_shape_);
  if (!options.elementwise_affine) return;
  weight_ = parameter("weight", full(normalized_shape_, 1));
  bias_ = parameter("bias", full(normalized_shape_, 0));
}

Tensor LayerNorm::operator()(const Tensor& x) const {
  const Shape& shape = x.shape();
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
