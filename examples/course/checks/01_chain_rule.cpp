#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  const double xs[] = {0.5, -1, 2}, ws[] = {2, 0.3, -0.7}, bs[] = {-0.25, 0.5, 1};
  for (int i = 0; i < 3; ++i) {
    const double x = xs[i], w = ws[i], b = bs[i], t = std::tanh(x * w + b);
    const double ds = 2 * t * (1 - t * t);
    const Slopes got = chain_rule(x, w, b);
    const auto slope = [&](const char* name, double is, double factor, double other) {
      same(message(name, " for x = ", x, ", w = ", w, ", b = ", b), is, ds * factor,
           {{number(2 * t * factor), "tanh's own derivative, 1 - t^2, is missing."},
            {number((1 - t * t) * factor), "The derivative of the square, 2 t, is missing."},
            {number(t * (1 - t * t) * factor), "Half of it: the derivative of t^2 is 2 t."},
            {number(2 * t * (1 + t * t) * factor), "tanh' is 1 - t^2, with a minus."},
            {number(factor), "What has arrived from above is missing."},
            {number(ds * other), "The other factor: dp/dx is w, and dp/dw is x."}});
    };
    slope("dL/db", got.b, 1, 1);
    slope("dL/dx", got.x, w, x);
    slope("dL/dw", got.w, x, w);
  }
}

}  // namespace course
