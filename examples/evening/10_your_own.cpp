// Chapter 10: an op and a layer of your own, and the check that they are right.
#include <cmath>
#include <iostream>

#include "core/core.hpp"
#include "layers/layers.hpp"
using namespace gradwalk;

// y = x^2 * sigmoid(x)
Tensor swish2(const Tensor& x) {
  Array value = empty(x.shape());
  for (std::size_t i = 0; i < value.size(); ++i) {
    const Real v = x.value().data()[i];
    value.data()[i] = v * v / (1 + std::exp(-v));
  }
  return record("swish2", {x}, std::move(value),
                [x](const Tensor& y, const Tensor& dy) -> Gradients {
                  const Tensor s = sigmoid(x);
                  return {dy * (2 * x * s + y * (1 - s))};  // dL/dx = dy * (2 x s + y (1 - s))
                });
}

// y = x * weight, elementwise over the last axis.   weight [features], starts as 1
class Scale : public Module {
 public:
  explicit Scale(std::size_t features) : weight_(parameter("weight", full({features}, 1))) {}
  Tensor operator()(const Tensor& x) const { return x * weight_; }

 private:
  Tensor weight_;
};

int main() {
  const Tensor x({{1, 2}, {-1, 0.5}}, true);
  const Scale scale(2);
  const Tensor y = swish2(scale(x));
  std::cout << y << "\n" << scale << "\n";
  backward(sum(y));
  std::cout << "dx\n" << x.grad() << "\n";
  check_gradients([&] { return swish2(scale(x)); }, {x, scale.parameters()[0]});
  std::cout << "check_gradients is content, to second order\n";
}
