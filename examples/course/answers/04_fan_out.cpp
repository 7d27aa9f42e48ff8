// hint 1: Go through the inputs with one loop. What does one of them get?
// hint 2: Input i is the value number op.inputs[i], and it gets dy * op.slopes[i].
// hint 3: gradient[op.inputs[i]] += dy * op.slopes[i], and not = : there may be something
//   already.
// why: If a moves by a little, y moves by each of its paths, and the movements add up. So a
//   gradient is always added to what is there, and it begins as 0. A graph that is walked without
//   this is right only as long as it is a chain.
#if ANSWER == 0
void hand_on(const Op& op, double dy, std::vector<double>& gradient) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    gradient[op.inputs[i]] += dy * op.slopes[i];
  }
}
#elif ANSWER == 1  // says: The last path has overwritten the one before it
void hand_on(const Op& op, double dy, std::vector<double>& gradient) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) gradient[op.inputs[i]] = dy * op.slopes[i];
}
#elif ANSWER == 2  // says: dy is left out
void hand_on(const Op& op, double, std::vector<double>& gradient) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) gradient[op.inputs[i]] += op.slopes[i];
}
#elif ANSWER == 3  // says: What was there before is lost
void hand_on(const Op& op, double dy, std::vector<double>& gradient) {
  for (double& g : gradient) g = 0;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) gradient[op.inputs[i]] += dy * op.slopes[i];
}
#elif ANSWER == 4  // says: Input i is the value number op.inputs[i]
void hand_on(const Op& op, double dy, std::vector<double>& gradient) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) gradient[i] += dy * op.slopes[i];
}
#endif
