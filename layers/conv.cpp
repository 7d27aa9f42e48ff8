#include "layers/conv.hpp"

namespace gradwalk {

Conv1d::Conv1d(std::size_t in_channels, std::size_t out_channels, std::size_t kernel_size,
               Generator& generator, const Conv1dOptions& options)
    : options_(options),
      weight_(parameter("weight", uniform_fan_in({out_channels, in_channels, kernel_size},
                                                 in_channels * kernel_size, generator))) {
  if (options.bias)
    bias_ = parameter("bias", uniform_fan_in({out_channels}, in_channels * kernel_size, generator));
}

}  // namespace gradwalk
