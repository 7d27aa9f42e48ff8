// hint 1: One loop over the ops, and try { check_gradients(...) } in it.
// hint 2: catch (const std::runtime_error&) { return op.name; } and after the loop, return "".
// hint 3: for (const NamedOp& op : ops) try { check_gradients([&](const Tensors& xs) { return
//   op.f(xs[0]); }, {uniform({8}, -2, 2, generator)}); } catch ... as in hint 2.
// why: A wrong rule crashes nothing: training only gets worse, and nobody knows why. Finite
//   differences know nothing of rules, so the two can only agree by being right. The check is as
//   good as the numbers that it is asked at, and it needs double: in float, rounding hides errors
//   of 0.1 %.
#if ANSWER == 0
std::string wrong_rule(const std::vector<NamedOp>& ops) {
  Generator generator(1);
  for (const NamedOp& op : ops) {
    try {
      check_gradients([&](const Tensors& xs) { return op.f(xs[0]); },
                      {uniform({8}, -2, 2, generator)});
    } catch (const std::runtime_error&) {
      return op.name;
    }
  }
  return "";
}
#elif ANSWER == 1  // says: Only positive numbers were asked
std::string wrong_rule(const std::vector<NamedOp>& ops) {
  for (const NamedOp& op : ops) {
    try {
      check_gradients([&](const Tensors& xs) { return op.f(xs[0]); }, {full({8}, 1)});
    } catch (const std::runtime_error&) {
      return op.name;
    }
  }
  return "";
}
#elif ANSWER == 2  // says: Only the first derivative was asked
std::string wrong_rule(const std::vector<NamedOp>& ops) {
  Generator generator(1);
  for (const NamedOp& op : ops) {
    try {
      check_gradients([&](const Tensors& xs) { return op.f(xs[0]); },
                      {uniform({8}, -2, 2, generator)}, {1});
    } catch (const std::runtime_error&) {
      return op.name;
    }
  }
  return "";
}
#elif ANSWER == 3  // says: expected "bent", got "half_tanh"
std::string wrong_rule(const std::vector<NamedOp>&) { return "half_tanh"; }
#elif ANSWER == 4  // says: Another one was named
std::string wrong_rule(const std::vector<NamedOp>& ops) { return ops[1].name; }
#endif
