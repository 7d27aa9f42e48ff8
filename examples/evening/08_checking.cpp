// Chapter 08: what a gradient check sees, and what it cannot. Real must be double: ./run evening.
#include <cmath>
#include <iostream>

#include "core/core.hpp"
using namespace gradwalk;

// y = factor x^3, with a rule that says dy * slope * x^2
static Tensor cube(const Tensor& x, Real factor, Real slope) {
  Array y = empty(x.shape());
  for (std::size_t i = 0; i < y.size(); ++i)
    y.data()[i] = factor * std::pow(x.value().data()[i], Real(3));
  return record(
      "cube", {x}, std::move(y),
      [x, slope](const Tensor&, const Tensor& dy) -> Gradients { return {dy * x * x * slope}; });
}

static void report(const char* what, const std::function<Tensor(const Tensors&)>& f,
                   const Array& x) {
  std::cout << what << ": ";
  try {
    check_gradients(f, {x});
    std::cout << "passes\n";
  } catch (const std::runtime_error& e) {
    std::cout << e.what() << "\n";
  }
}

int main() {
  // by hand: the slope of x^3 at 2 is 12
  for (const double eps : {1e-1, 1e-3, 1e-5, 1e-8, 1e-12})
    std::cout << "eps " << eps << "  difference - 12 = "
              << (std::pow(2 + eps, 3) - std::pow(2 - eps, 3)) / (2 * eps) - 12 << "\n";
  const Array x{1, -2, 0.5};
  std::cout << "\n";
  report(
      "right", [](const Tensors& xs) { return cube(xs[0], 1, 3); }, x);
  report(
      "wrong rule", [](const Tensors& xs) { return cube(xs[0], 1, 2); }, x);
  report(
      "wrong value, with the rule of that value",
      [](const Tensors& xs) { return cube(xs[0], 7, 21); }, x);
  report(
      "relu at its kink", [](const Tensors& xs) { return relu(xs[0]); }, Array{1, 0, -1});
  report(
      "detached", [](const Tensors& xs) { return xs[0] * xs[0].detach(); }, x);
}
