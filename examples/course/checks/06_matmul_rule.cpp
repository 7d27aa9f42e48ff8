#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

// op(a) . op(b), op being the transpose or nothing
Array product(const Tensor& a, bool ta, const Tensor& b, bool tb) {
  return matmul(a, b, ta, tb).value();
}

void check_exercise() {
  const std::size_t sizes[][3] = {{2, 2, 2}, {3, 3, 3}, {2, 3, 4}};
  for (const auto& [N, K, M] : sizes) {
    Generator generator(N + M);
    const Tensor a(normal({N, K}, generator)), b(normal({K, M}, generator)),
        dy(normal({N, M}, generator));
    const Gradients d = matmul_rule(a, b, dy);
    if (d.size() != 2) wrong(message("matmul has 2 inputs, got ", d.size(), " gradients"), "");
    Mistakes for_a, for_b;
    if (N == M) {
      const std::string elementwise =
          "Elementwise: * multiplies number by number, matmul() adds up.";
      for_a = {{(dy * b).value(), elementwise},
               {(dy * transpose(b)).value(), elementwise},
               {product(dy, false, b, false), "b is not transposed: da = dy . b^T."},
               {product(b, true, dy, false), "The other way round: da = dy . b^T."}};
      for_b = {{(a * dy).value(), elementwise},
               {(transpose(a) * dy).value(), elementwise},
               {product(a, false, dy, false), "a is not transposed: db = a^T . dy."},
               {product(dy, false, a, true), "The other way round: db = a^T . dy."}};
    }
    const std::string at = message(" for a [", N, ", ", K, "] and b [", K, ", ", M, "]");
    same("dL/da" + at, d[0], product(dy, false, b, true), for_a);
    same("dL/db" + at, d[1], product(a, true, dy, false), for_b);
  }
}

}  // namespace course
