// Chapter 7, optimizers.
//
// One number w of a model and its gradient g, at step t = 1, 2, ...
//   SGD    w -= lr * g
//   Adam   m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
//          w -= lr * m' / (sqrt(v') + eps)
//          m' = m / (1 - b1^t)          v' = v / (1 - b2^t)
// m and v begin as 0 and so are too small at first: dividing by 1 - b^t makes up
// for it. Both must be kept for the next step. Return the new w.
// In the code base: optim/sgd.cpp and optim/adam.cpp.
#include <cmath>

#include "examples/course/todo.hpp"

struct Moments {
  double m = 0, v = 0;
};
constexpr double b1 = 0.9, b2 = 0.999, eps = 1e-8;

// ---- your part ----
double sgd(double w, double g, double lr) { todo("sgd must return the new w"); }

double adam(double w, double g, Moments& moments, int t, double lr) {
  todo("adam must update the moments and return the new w");
}
// ---- end of your part ----
