// hint 1: SGD is one line. For Adam, first update moments.m and moments.v, in place.
// hint 2: moments.v = b2 * moments.v + (1 - b2) * g * g. std::pow(b2, t) is b2^t.
// hint 3: double m = moments.m / (1 - std::pow(b1, t)), v likewise; return w - lr * m /
//   (std::sqrt(v) + eps).
// why: Adam divides by the size that g has lately had, so each number moves by about lr a step,
//   whatever the scale of its gradient. Without the correction m is 10 times and sqrt(v) 32 times
//   too small at step 1, and the first step would be 3 times too long.
#if ANSWER == 0
double sgd(double w, double g, double lr) { return w - lr * g; }

double adam(double w, double g, Moments& moments, int t, double lr) {
  moments.m = b1 * moments.m + (1 - b1) * g;
  moments.v = b2 * moments.v + (1 - b2) * g * g;
  double m = moments.m / (1 - std::pow(b1, t)), v = moments.v / (1 - std::pow(b2, t));
  return w - lr * m / (std::sqrt(v) + eps);
}
#elif ANSWER == 1  // says: Bias correction is missing
double sgd(double w, double g, double lr) { return w - lr * g; }

double adam(double w, double g, Moments& moments, int, double lr) {
  moments.m = b1 * moments.m + (1 - b1) * g;
  moments.v = b2 * moments.v + (1 - b2) * g * g;
  return w - lr * moments.m / (std::sqrt(moments.v) + eps);
}
#elif ANSWER == 2  // says: m and v are forgotten between steps
double sgd(double w, double g, double lr) { return w - lr * g; }

double adam(double w, double g, Moments& moments, int t, double lr) {
  double m = b1 * moments.m + (1 - b1) * g, v = b2 * moments.v + (1 - b2) * g * g;
  return w - lr * m / (1 - std::pow(b1, t)) / (std::sqrt(v / (1 - std::pow(b2, t))) + eps);
}
#elif ANSWER == 3  // says: The wrong direction
double sgd(double w, double g, double lr) { return w + lr * g; }

double adam(double w, double, Moments&, int, double) { return w; }
#elif ANSWER == 4  // says: v must average g^2, not g
double sgd(double w, double g, double lr) { return w - lr * g; }

double adam(double w, double g, Moments& moments, int t, double lr) {
  moments.m = b1 * moments.m + (1 - b1) * g;
  moments.v = b2 * moments.v + (1 - b2) * g;
  double m = moments.m / (1 - std::pow(b1, t)), v = moments.v / (1 - std::pow(b2, t));
  return w - lr * m / (std::sqrt(v) + eps);
}
#endif
