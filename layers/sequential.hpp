// Modules one after the other.
#pragma once

#include <functional>
#include <memory>

#include "layers/module.hpp"

namespace gradwalk {

// y = f_k(... f_1(f_0(x))). It makes and owns its modules, which are named "0", "1", ...: any layer
// that takes one tensor and returns one.
// Without modules y = x. Throws what its modules throw.
// https://pytorch.org/docs/stable/generated/torch.nn.Sequential.html
class Sequential : public Module {
 public:
  // net.append<Linear>(4, 8, generator).append<ReLU>() constructs Linear(4, 8, generator), ReLU()
  template <class Layer, class... Args>
  Sequential& append(Args&&... args) {
    const auto layer = std::make_shared<Layer>(std::forward<Args>(args)...);
    child(std::to_string(layers_.size()), *layer);
    layers_.push_back([layer](const Tensor& x) -> Tensor { return (*layer)(x); });
    return *this;
  }
  Tensor operator()(Tensor x) const {
    for (const auto& layer : layers_) x = layer(x);
    return x;
  }

 private:
  std::vector<std::function<Tensor(const Tensor&)>> layers_;  // each keeps its module alive
};

}  // namespace gradwalk
