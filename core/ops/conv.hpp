// What conv1d is made of where stride and dilation are 1: x [N, L, C], w [out, K, C] and y
// [N, L - K + 1, out]. Both ops are linear in each input, and are each other's derivatives.
#pragma once

#include "core/tensor.hpp"

namespace gradwalk {

// y[n, l, o] = sum_k,c x[n, l + k, c] w[o, k, c]
Tensor windows_product(const Tensor& x, const Tensor& w);
// w[o, k, c] = sum_n,l y[n, l, o] x[n, l + k, c]
Tensor windows_weight(const Tensor& x, const Tensor& y, std::size_t K);

}  // namespace gradwalk
