// MyName: a step worked out by hand, and sparse gradients beside the same ones made dense.
#include "core/error.hpp"
#include "core/print.hpp"
#include "optim/my_name.hpp"

using namespace gradwalk;

void own_check() {
  const Array start{{1, -2}, {3, 4}};                          // w [2, 2]
  const RowSparse row{Indices{1}, Tensor(Array{{1, -1}}), 2};  // dw [2, 2]: row 0 is 0
  // w after a step: replace the numbers of the example, w -= lr * dw with lr 0.5.
  const Array expected{{1, -2}, {2.5, 4.5}};
  const auto step = [&](const Gradient& dw, SparsePolicy policy) {
    Tensor w(start, true);
    w.mutable_grad() = dw;
    MyName({w}, {0.5, 0, policy}).step();
    return w;
  };
  const Tensor w = step(dense(row), SparsePolicy::kLazy);
  check(xt::allclose(w.value(), expected), "my_name: expected ", Tensor(expected), ", got ", w);
  const Tensor v = step(row, SparsePolicy::kDensify);
  check(v.value() == w.value(), "my_name: under kDensify a sparse gradient must do what it does ",
        "when made dense, ", w, ", got ", v);
  const Tensor lazy = step(row, SparsePolicy::kLazy);
  for (std::size_t i = 0; i < 2; ++i)
    check(lazy.value()(0, i) == start(0, i), "my_name: under kLazy row 0 must stay, got ", lazy);
}
