#include EXERCISE
#include "examples/course/checks/check.hpp"
#include "optim/adam.hpp"
namespace course {

const std::vector<Real> gradient{0.5, -0.2, 0.3, 0.1};
constexpr double kRate = 0.1;

// w after `steps` of the library's optimizer
double library(Optimizer&& optimizer, Tensor w, std::size_t steps) {
  for (std::size_t i = 0; i < steps; ++i) {
    w.mutable_grad() = Tensor(number(gradient[i]));
    optimizer.step();
  }
  return w.item();
}

// w after `steps` of Adam with a mistake in it
double wrong_adam(std::size_t steps, bool correct_m, bool correct_v, bool square, bool keep) {
  double w = 2, m = 0, v = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    const double g = gradient[i], t = static_cast<double>(i + 1);
    if (!keep) m = v = 0;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * (square ? g * g : g);
    const double c1 = correct_m ? 1 - std::pow(0.9, t) : 1;
    const double c2 = correct_v ? 1 - std::pow(0.999, t) : 1;
    w -= kRate * m / c1 / (std::sqrt(v / c2) + 1e-8);
  }
  return w;
}

void check_exercise() {
  const double w = 2;
  for (double g : {0.5, -3.0}) {
    const double mine = sgd(w, g, kRate);
    same(message("sgd for w = 2, g = ", g, ", lr = 0.1"), mine, w - kRate * g,
         {{number(w + kRate * g), "The wrong direction: w goes against the gradient, w - lr g."},
          {number(w - g), "lr is left out."},
          {number(-kRate * g), "This is the step; return the new w."},
          {number(kRate * g), "This is the step; return the new w."}});
  }
  Moments moments;
  double mine = w;
  for (std::size_t t = 1; t <= gradient.size(); ++t) {
    mine = adam(mine, gradient[t - 1], moments, static_cast<int>(t), kRate);
    Tensor leaf(number(w), true);
    const double right = library(Adam({leaf}, {kRate}), leaf, t);
    same(message("adam: w after step ", t), mine, right,
         {{number(wrong_adam(t, false, false, true, true)),
           "Bias correction is missing: divide m by 1 - b1^t and v by 1 - b2^t."},
          {number(wrong_adam(t, true, false, true, true)), "v is not corrected by 1 - b2^t."},
          {number(wrong_adam(t, false, true, true, true)), "m is not corrected by 1 - b1^t."},
          {number(wrong_adam(t, true, true, false, true)), "v must average g^2, not g."},
          {number(wrong_adam(t, true, true, true, false)),
           "m and v are forgotten between steps: store them in moments."},
          {number(2 * w - right), "The wrong direction: w goes against the gradient."}});
  }
}

}  // namespace course
