// hint 1: This exercise passes as it is. Change one line and look at the check's message.
// hint 2: Leave out "+ b", or return t instead of t * t.
// hint 3: ./run learn reset 00 brings the file back.
// why: Each line makes one number from numbers that are there already. So the lines can be
//   walked back, last one first, and this is all that backward() does.
#if ANSWER == 0
double loss(double x, double w, double b) {
  double p = x * w;
  double s = p + b;
  double t = std::tanh(s);
  return t * t;
}
#elif ANSWER == 1  // says: the square, is missing
double loss(double x, double w, double b) { return std::tanh(x * w + b); }
#elif ANSWER == 2  // says: b is not added
double loss(double x, double w, double) { return std::pow(std::tanh(x * w), 2); }
#elif ANSWER == 3  // says: Twice as large everywhere
double loss(double x, double w, double b) { return 2 * std::pow(std::tanh(x * w + b), 2); }
#endif
