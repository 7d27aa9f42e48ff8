// hint 1: NanTrap trap; comes first, then backward(loss()) in a try block.
// hint 2: catch (const std::runtime_error& error) { return error.what(); }, and "" at the end.
// hint 3: norm: the root of something that is never 0, as sqrt(sum(x * x) + 1e-24).
// why: A NaN spreads forwards and backwards, so the place where it is seen says little. The
//   place where numbers were finite before and are not after says all. At a kink no derivative is
//   right: a small number below the root chooses 0, as LayerNorm's and Adam's eps do.
#if ANSWER == 0
std::string where_nan(const std::function<Tensor()>& loss) {
  NanTrap trap;
  try {
    backward(loss());
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}
Tensor norm(const Tensor& x) { return sqrt(sum(x * x) + 1e-24); }
#elif ANSWER == 1  // says: This one is born on the way back
std::string where_nan(const std::function<Tensor()>& loss) {
  NanTrap trap;
  try {
    loss();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}
Tensor norm(const Tensor& x) { return sqrt(sum(x * x) + 1e-24); }
#elif ANSWER == 2  // says: The trap must be there before the loss is computed
std::string where_nan(const std::function<Tensor()>& loss) {
  const Tensor y = loss();
  NanTrap trap;
  try {
    backward(y);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}
Tensor norm(const Tensor& x) { return sqrt(sum(x * x) + 1e-24); }
#elif ANSWER == 3  // says: sqrt's rule is dy / (2 y), and y is 0 here
std::string where_nan(const std::function<Tensor()>& loss) {
  NanTrap trap;
  try {
    backward(loss());
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}
Tensor norm(const Tensor& x) { return sqrt(sum(x * x)); }
#elif ANSWER == 4  // says: Close, but not the same
std::string where_nan(const std::function<Tensor()>& loss) {
  NanTrap trap;
  try {
    backward(loss());
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}
Tensor norm(const Tensor& x) { return sqrt(sum(x * x) + 1e-5); }
#endif
