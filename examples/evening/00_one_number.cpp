// Chapter 00: one number, w, goes through four ops, loss = tanh(w x + b)^2. What is dloss/dw?
#include <cmath>
#include <cstdio>
#include <iostream>

#include "core/core.hpp"
using namespace gradwalk;

static void by_hand(double w, double x, double b) {
  const double a = w * x, z = a + b, y = std::tanh(z), loss = y * y;
  std::printf("forwards    a %.4f  z %.4f  y %.4f  loss %.4f\n", a, z, y, loss);
  const double dy = 2 * y;             // loss = y^2
  const double dz = dy * (1 - y * y);  // y = tanh(z)
  const double da = dz;                // z = a + b
  const double dw = da * x;            // a = w x
  std::printf("backwards   dy %.4f  dz %.4f  da %.4f  dw %.4f\n\n", dy, dz, da, dw);
}

int main(int argc, char**) {
  if (argc == 1) by_hand(0.5, 2, -0.5);

  const Tensor w(full({}, Real(0.5)), true), x(full({}, 2)), b(full({}, Real(-0.5)));
  const auto loss_of_w = [&] { return pow(tanh(w * x + b), 2); };
  if (argc > 1) {  // ./run evening 00 draw: the picture of the chapter
    std::cout << draw(loss_of_w());
    return 0;
  }
  const Explanation explanation = explain(loss_of_w, w, {});
  const Tensor loss = loss_of_w();
  backward(loss);
  const double dw = double(dense(w.grad()).item());
  std::printf("the engine  loss %.4f  dw %.4f\n\n", double(loss.item()), dw);
  std::cout << explanation;
}
