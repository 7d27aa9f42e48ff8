// Chapter 10, a layer of your own.
//
// RMSNorm divides each vector by its size, so that deep networks stay stable:
//   y = x / sqrt(mean of x^2 over the last axis + eps) * weight
//   x [..., D], weight [D], which begins as ones; eps = 1e-5
// A layer is a Module. parameter("weight", full({features}, 1)) makes a tensor
// known to optimizers and files, and returns it: call it in the constructor.
//   mean(x, {axis}, true) leaves an axis of length 1, so that x can be divided;
//   x.dim() is the number of axes
// In the code base: layers/layer_norm.cpp, and docs/10-your-own.md.
#include "core/ops.hpp"
#include "examples/course/todo.hpp"
#include "layers/module.hpp"
using namespace gradwalk;

// ---- your part ----
class RMSNorm : public Module {
 public:
  explicit RMSNorm(std::size_t features) {
    todo("RMSNorm must have a parameter, weight [features], and normalise x");
  }
  Tensor operator()(const Tensor& x) const { return x; }

 private:
  Tensor weight_;
};
// ---- end of your part ----
