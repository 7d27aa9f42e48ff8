// Fused ops: what they compute in one go could as well be composed of ops that there are already,
// their readable twin. It says what the fused op means, tests compare the two, and where a
// derivative is to be differentiated again, the twin is what is differentiated.
#pragma once

#include <functional>

#include "core/tensor.hpp"

namespace gradwalk {

// The derivatives of sum_k <twin(inputs)[k], dys[k]> with respect to inputs, as tensors that can be
// differentiated. dys[k] may be undefined: nothing depends on that output.
Gradients differentiate_twin(const Tensors& inputs, const Tensors& dys,
                             const std::function<Tensors(const Tensors&)>& twin);

}  // namespace gradwalk
