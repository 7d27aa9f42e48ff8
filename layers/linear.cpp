#include "layers/linear.hpp"

namespace gradwalk {

Linear::Linear(std::size_t in_features, std::size_t out_features, Generator& generator, bool bias)
    : weight_(parameter("weight",
                        uniform_fan_in({out_features, in_features}, in_features, generator))) {
  if (bias) bias_ = parameter("bias", uniform_fan_in({out_features}, in_features, generator));
}

}  // namespace gradwalk
