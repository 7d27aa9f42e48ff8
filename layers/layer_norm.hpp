// Layer normalisation (Ba, Kiros and Hinton 2016).
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

struct LayerNormOptions {
  double eps = 1e-5;               // added to the variance
  bool elementwise_affine = true;  // weight and bias, or neither
};

// y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * weight + bias, means over the last axes
// of x, which are weight's and bias's. As one op, and made of small ones; shapes are the caller's
// business.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Real eps);
Tensor layer_norm_composed(const Tensor& x, const Tensor& weight, const Tensor& bias, Real eps);

// layer_norm over the last axes of x, which are normalized_shape.
//   weight, bias [normalized_shape], 1 and 0 at first
// The output is shaped as x. Throws std::invalid_argument if normalized_shape is empty or holds a
// 0, or if x does not end in it.
// https://pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
class LayerNorm : public Module {
 public:
  explicit LayerNorm(Shape normalized_shape, const LayerNormOptions& options = {});
  Tensor operator()(const Tensor& x) const;

 private:
  Shape normalized_shape_;
  Real eps_;
  Tensor weight_, bias_;
};

}  // namespace gradwalk
