#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  const double x[] = {0.5, -1, 2}, w[] = {2, 0.3, -0.7}, b[] = {-0.25, 0.5, 1};
  for (int i = 0; i < 3; ++i) {
    const double p = x[i] * w[i], t = std::tanh(p + b[i]);
    same(message("L for x = ", x[i], ", w = ", w[i], ", b = ", b[i]), loss(x[i], w[i], b[i]), t * t,
         {{number(t), "This is t: the last op, the square, is missing."},
          {number(std::pow(std::tanh(p), 2)), "b is not added."},
          {number(std::pow(p + b[i], 2)), "This is s^2: tanh is missing."}});
  }
}

}  // namespace course
