// What conv1d is made of where stride is 1. Each step k of the kernel adds one product to y: w[k]
// times x, moved by k. x [N, C, L * width], w [K, out, C] and y [N, out, L_out * width]. All three
// are linear in each input, and are each other's derivatives.
#pragma once

#include "core/tensor.hpp"

namespace gradwalk {

// How w, of K steps, moves along the L steps of x, to give the L_out of y. A step is `width`
// columns, one for each of the sequences that are interleaved. The formulas are for a width of 1.
struct Slide {
  std::size_t L, K, L_out, padding, dilation, width = 1;
};

// y[n, o, l] = bias[o] + sum_kc w[k, o, c] x[n, c, l + k*dilation - padding]; bias may be undefined
Tensor conv1d_output(const Slide& slide, const Tensor& x, const Tensor& w, const Tensor& bias);
// x[n, c, l + k*dilation - padding] += w[k, o, c] y[n, o, l], for all o, l and k
Tensor conv1d_input(const Slide& slide, const Tensor& y, const Tensor& w);
// w[k, o, c] = sum_nl y[n, o, l] x[n, c, l + k*dilation - padding]
Tensor conv1d_weight(const Slide& slide, const Tensor& x, const Tensor& y);

}  // namespace gradwalk
