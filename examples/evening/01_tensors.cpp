// Chapter 01: shapes, broadcasting, and how a gradient finds its way back to the smaller shape.
#include <iostream>

#include "core/core.hpp"
using namespace gradwalk;

int main() {
  const Tensor x({{1, 2, 3}, {4, 5, 6}});  // [2, 3], data
  const Tensor bias({10, 20, 30}, true);   // [3], one number for each column
  const Tensor scale(reshape(Tensor({1, -1}), {2, 1}).value(), true);  // [2, 1], one for each row

  const Tensor sums = x + bias, y = sums * scale;
  std::cout << "x + bias\n" << sums << "\ny = (x + bias) * scale\n" << y << "\n\n";

  // Weigh each number of y differently, so that the gradients show where they come from.
  const Tensor weights({{1, 2, 3}, {4, 5, 6}});
  const Tensor loss = sum(y * weights);
  const Gradients d = gradients(loss, {y, sums}, false, /*retain_graph=*/true);
  std::cout << "dy\n" << dense(d[0]).value() << "\n";
  std::cout << "dsums = dy * scale\n" << dense(d[1]).value() << "\n\n";

  backward(loss);
  std::cout << "dbias, the sum of each column of dsums\n" << dense(bias.grad()).value() << "\n";
  std::cout << "dscale, the sum of each row of dy * sums\n"
            << dense(scale.grad()).value() << "\n\n";

  const Tensor copy = bias;  // another handle to the same node
  std::cout << "copy is bias: " << (copy.node() == bias.node())
            << ", detach() is not: " << (bias.detach().node() == bias.node()) << "\n";
  try {
    x + Tensor({1, 2});
  } catch (const std::invalid_argument& e) {
    std::cout << e.what() << "\n";
  }
}
