// Gradient clipping. Throws std::invalid_argument if the limit is not positive, or if a gradient
// does not fit its parameter. A limit of infinity is one: nothing is changed.
#pragma once

#include "core/tensor.hpp"

namespace gradwalk {

// total = sqrt(sum over all parameters of |grad|^2), repeated rows of a sparse gradient added up
// first; multiplies every gradient by max_norm / (total + 1e-6) where that is below 1. Returns
// total.
// https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
// Throws std::runtime_error, and changes nothing, if total is not finite.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm);

// Moves every number of every gradient into [-clip_value, clip_value], repeated rows of a sparse
// gradient added up first.
// https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html
void clip_grad_value(const std::vector<Tensor>& parameters, double clip_value);

}  // namespace gradwalk
