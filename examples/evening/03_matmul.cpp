// Chapter 03: y = a . b. Where dy . b^T comes from, element by element.
#include <iostream>

#include "core/core.hpp"
using namespace gradwalk;

int main() {
  const Tensor a({{1, 2, 3}, {4, 5, 6}}, true);       // [N, K] = [2, 3]
  const Tensor b({{1, 0}, {-1, 2}, {0.5, 1}}, true);  // [K, M] = [3, 2]
  const Tensor dy({{1, 10}, {100, 1000}});            // dloss/dy, chosen so that digits tell

  const Tensor y = matmul(a, b);
  const Tensor loss = sum(y * dy);
  backward(loss, /*retain_graph=*/true);
  std::cout << "y\n"
            << y.value() << "\nda\n"
            << dense(a.grad()).value() << "\ndb\n"
            << dense(b.grad()).value() << "\n\n";

  // The same from the definition y[n, m] = sum_k a[n, k] b[k, m]: which y does a[n, k] touch, and
  // how strongly? All of row n, y[n, m] by b[k, m].
  Array da = full({2, 3}, 0);
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t k = 0; k < 3; ++k) {
      for (std::size_t m = 0; m < 2; ++m) da(n, k) += dy.value()(n, m) * b.value()(k, m);
    }
  }
  std::cout << "da, by three loops\n" << da << "\n\n";
  std::cout << "dy . b^T  " << matmul(dy, b, false, true).shape() << "\n";
  std::cout << "a^T . dy  " << matmul(a, dy, true).shape() << "\n\n";
  std::cout << explain(loss, a, {1, 2}, {1});
}
