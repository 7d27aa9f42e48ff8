#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"

// y = sum x * x   ->   dy/dx = 2 x
int main() {
  using namespace gradwalk;
  const Tensor x(full({2, 3}, 3), true);
  backward(sum(x * x));
  return dense(x.grad()).value()(1, 2) == 6 ? 0 : 1;
}
