#include EXERCISE
#include "examples/course/checks/check.hpp"
#include "examples/course/checks/classifier.hpp"
namespace course {

void compare_numbers() {
  Generator generator(20);
  for (std::size_t D : {2, 4}) {
    const std::size_t N = 2, T = 4;
    const Tensor q(normal({N, T, D}, generator)), k(normal({N, T, D}, generator)),
        v(normal({N, T, D}, generator));
    Array padding = full({N, 1, T}, 0);
    padding(1, 0, 2) = padding(1, 0, 3) = 1;
    const Tensor mask(padding), raw = matmul(q, k, false, true);
    const Real root = std::sqrt(static_cast<Real>(D));
    const auto mixed = [&](const Tensor& scores, std::size_t axis) {
      return matmul(softmax(scores, axis), v).value();
    };
    const Tensor scores = masked_fill(raw / root, mask, -1e9);
    same(message("y for D = ", D), attention(q, k, v, mask).value(), mixed(scores, 2),
         {{mixed(masked_fill(raw, mask, -1e9), 2), "Scores are not divided by sqrt(D)."},
          {mixed(masked_fill(raw / (root * root), mask, -1e9), 2), "Divided by D, not by sqrt(D)."},
          {mixed(raw / root, 2), "Padding is looked at: its scores must be -1e9."},
          {mixed(where(mask, raw / root, Tensor(full({}, -1e9))), 2),
           "The other way round: only padding is looked at."},
          {mixed(scores, 1), "softmax is over i, the second axis; it must be over j, the last."},
          {matmul(scores, v).value(), "softmax is missing."},
          {softmax(scores, 2).value(), "These are the weights: multiply them by v."},
          {mixed(masked_fill(raw / root, mask, 0), 2),
           "A score of 0 still gets a weight: e^0 is 1. Put -1e9 before softmax."}});
  }
  derivatives(
      "attention",
      [](const Tensors& x) {
        return attention(x[0], x[1], x[2], zeros({1, 1, 3}));
      },
      {normal({1, 3, 2}, generator), normal({1, 3, 2}, generator), normal({1, 3, 2}, generator)});
}

void check_exercise() {
  compare_numbers();
  const double reached = train_classifier(attention);
  if (reached < 0.95)
    wrong(message("accuracy after 12 epochs: expected 0.95 or more, got ", reached), "");
}

}  // namespace course
