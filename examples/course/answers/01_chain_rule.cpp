// hint 1: Write one line for each op, the last op first: dt, then ds, then dp and db.
// hint 2: dt = 2 * t. Then ds is dt times the derivative of tanh, 1 - t * t.
// hint 3: s = p + b hands ds on unchanged to p and to b. p = x * w hands dp * w to x and dp * x
//   to w.
// why: Each op needs only its own derivative and one number from above, dL/d(its output). No op
//   knows the others. That is why a library can differentiate a program it has never seen.
#if ANSWER == 0
Slopes chain_rule(double x, double w, double b) {
  double t = std::tanh(x * w + b);
  double dt = 2 * t;
  double ds = dt * (1 - t * t);
  double dp = ds, db = ds;
  return {dp * w, dp * x, db};
}
#elif ANSWER == 1  // says: tanh's own derivative, 1 - t^2, is missing
Slopes chain_rule(double x, double w, double b) {
  double t = std::tanh(x * w + b);
  return {2 * t * w, 2 * t * x, 2 * t};
}
#elif ANSWER == 2  // says: Half of it
Slopes chain_rule(double x, double w, double b) {
  double t = std::tanh(x * w + b), ds = t * (1 - t * t);
  return {ds * w, ds * x, ds};
}
#elif ANSWER == 3  // says: The other factor
Slopes chain_rule(double x, double w, double b) {
  double t = std::tanh(x * w + b), ds = 2 * t * (1 - t * t);
  return {ds * x, ds * w, ds};
}
#elif ANSWER == 4  // says: The wrong sign everywhere
Slopes chain_rule(double x, double w, double b) {
  double t = std::tanh(x * w + b), ds = -2 * t * (1 - t * t);
  return {ds * w, ds * x, ds};
}
#endif
