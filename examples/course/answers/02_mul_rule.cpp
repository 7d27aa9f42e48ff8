// hint 1: With numbers: y = a b, so dy/da = b. What is dL/da, if dL/dy is given?
// hint 2: The chain rule multiplies: dL/da = dL/dy * dy/da, element by element.
// hint 3: dL/da is dy * b. dL/db goes the same way, with the other factor.
// why: If a grows by a little, y grows b times as much, and L grows dy times as much as y. The
//   rule reads the inputs, which is why a graph keeps its values alive until backward() has
//   passed.
#if ANSWER == 0
Gradients mul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) { return {dy * b, dy * a}; }
#elif ANSWER == 1  // says: This is dL/db: a gets the other factor
Gradients mul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) { return {dy * a, dy * b}; }
#elif ANSWER == 2  // says: dy is left out
Gradients mul_rule(const Tensor& a, const Tensor& b, const Tensor&) { return {b, a}; }
#elif ANSWER == 3  // says: mul has 2 inputs, got 1 gradients
Gradients mul_rule(const Tensor&, const Tensor& b, const Tensor& dy) { return {dy * b}; }
#endif
