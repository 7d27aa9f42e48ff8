// Chapter 07: three steps of each optimizer by hand, then what becomes of rows without a gradient.
#include <cmath>
#include <cstdio>

#include "core/core.hpp"
#include "optim/optim.hpp"
using namespace gradwalk;

template <class O, class Options>
static double three_steps(const Options& options) {  // of w = 1 with the gradient of w^2 / 2, w
  const Tensor w(full({}, 1), true);
  O optimizer({w}, options);
  for (int t = 0; t < 3; ++t) {
    optimizer.zero_grad();
    backward(w * w * Real(0.5));
    optimizer.step();
  }
  return double(w.item());
}

static void by_hand() {
  double sgd = 1, momentum = 1, b = 0, adam = 1, m = 0, v = 0;
  for (int t = 1; t <= 3; ++t) {
    sgd -= 0.1 * sgd;
    b = 0.9 * b + momentum;
    momentum -= 0.1 * b;
    m = 0.9 * m + 0.1 * adam, v = 0.999 * v + 0.001 * adam * adam;
    adam -= 0.1 * m / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    std::printf("%d  sgd %.4f  momentum %.4f  adam %.4f\n", t, sgd, momentum, adam);
  }
}

static void rows_without_a_gradient(const char* name, SparsePolicy policy) {
  const Tensor table(full({3, 1}, 1), true);
  Adam adam({table}, {0.1, 0.9, 0.999, 1e-8, {}, policy});
  for (int t = 1; t <= 10; ++t) {  // row 0 in every step, row 1 in the first, row 2 never
    adam.zero_grad();
    backward(sum(gather_rows(table, t == 1 ? Indices{0, 1} : Indices{0})));
    adam.step();
  }
  const Array& now = table.value();
  std::printf("%-8s  %.4f  %.4f  %.4f\n", name, double(now(0, 0)), double(now(1, 0)),
              double(now(2, 0)));
}

int main() {
  by_hand();
  std::printf("   sgd %.4f  momentum %.4f  adam %.4f\n\n", three_steps<SGD>(SgdOptions{0.1}),
              three_steps<SGD>(SgdOptions{0.1, 0.9}), three_steps<Adam>(AdamOptions{0.1}));
  std::puts("policy    row 0   row 1   row 2");
  rows_without_a_gradient("lazy", SparsePolicy::kLazy);
  rows_without_a_gradient("exact", SparsePolicy::kExact);
  rows_without_a_gradient("densify", SparsePolicy::kDensify);
}
