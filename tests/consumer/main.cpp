#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"

using namespace gradwalk;

// Classes cross the border of a shared library: a base, its children, a type seen at run time.
class Square : public Module {
 public:
  Tensor operator()(const Tensor& x) const { return x * x; }
};

Tensor twice(const Tensor& x);  // of another file, which includes all headers, too

// y = sum x * x   ->   dy/dx = 2 x
int main() {
  const Tensor x(full({2, 3}, 3), true);
  const Square square;
  backward(sum(square(x)));
  if (dense(x.grad()).value()(1, 2) != 6) return 1;
  if (twice(x).value()(0, 0) != 6) return 4;
  if (dynamic_cast<const Square*>(static_cast<const Module*>(&square)) == nullptr) return 2;
#ifdef CONSUMER_DEBUG
  try {
    x.value()(5, 5);
    return 3;
  } catch (const std::exception&) {  // an element outside an array
  }
#endif
  return 0;
}
