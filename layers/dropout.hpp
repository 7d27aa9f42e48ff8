// Dropout (Srivastava et al. 2014).
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

// In training each element is zeroed with probability p and the others are divided by 1 - p; in
// evaluation y = x. x of any shape, y of the same. The constructor throws std::invalid_argument
// unless 0 <= p < 1.
// https://pytorch.org/docs/stable/generated/torch.nn.Dropout.html
class Dropout : public Module {
 public:
  Dropout(double p, Generator& generator);  // the generator is kept and must outlive the layer
  Tensor operator()(const Tensor& x) const {
    return training() && p_ > 0 ? dropout(x, p_, generator_) : x;
  }

 private:
  double p_;
  Generator& generator_;
};

}  // namespace gradwalk
