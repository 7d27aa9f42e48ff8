// Convolution over time.
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

struct Conv1dOptions {
  std::size_t stride = 1;    // steps from one window to the next
  std::size_t padding = 0;   // zeros before and after each row
  std::size_t dilation = 1;  // steps between the elements that a window takes
  bool bias = true;
};

// x [N, in_channels, L] -> y [N, out_channels, L']; formula in core/ops.hpp.
// weight [out_channels, in_channels, kernel_size] and bias [out_channels] ~ U(-k, k),
// k = 1/sqrt(in_channels * kernel_size)
// The call throws std::invalid_argument if x is shaped otherwise, if a window is longer than x with
// its padding, or if kernel_size, stride or dilation is 0.
// https://pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
class Conv1d : public Module {
 public:
  Conv1d(std::size_t in_channels, std::size_t out_channels, std::size_t kernel_size,
         Generator& generator, const Conv1dOptions& options = {});
  Tensor operator()(const Tensor& x) const {
    return conv1d(x, weight_, bias_, options_.stride, options_.padding, options_.dilation);
  }

 private:
  Conv1dOptions options_;
  Tensor weight_, bias_;
};

}  // namespace gradwalk
