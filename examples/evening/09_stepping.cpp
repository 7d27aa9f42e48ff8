// Chapter 09: a step that is small enough to go through whole, in gdb and on the page.
#include <cstdio>

#include "core/core.hpp"
#include "optim/sgd.hpp"
using namespace gradwalk;

int main() {
  const Tensor table({{0.5, -1}, {2, 0.25}, {1, 1}}, true);  // [V, D] = [3, 2]
  const Tensor scale({0.5, -1}, true);                       // [D]
  SGD sgd({table, scale}, {0.1});
  const Indices ids{1, 1, 0};
  const Tensor x = gather_rows(table, ids);  // [3, D]
  const Tensor y = tanh(x * scale);
  const Tensor loss = sum(y);
  std::printf("loss %.4f\n", double(loss.item()));
  backward(loss);
  sgd.step();
  std::printf("table[1, 0] %.4f\n", double(table.value()(1, 0)));
}
