// Chapter 2, the engine.
//
// A value that is used k times gets k gradients, one by each path, and they add
// up. An op has made a value from inputs; slopes[i] is its derivative with
// respect to inputs[i]. An input may be listed twice, as in a * a.
//   gradient[inputs[i]] grows by dy * slopes[i], for each i
// Others may have handed something to the same inputs before: keep it.
// In the code base: GradientSum::add() in core/gradient.cpp.
#include <vector>

#include "examples/course/todo.hpp"

struct Op {
  std::vector<std::size_t> inputs;  // which values it has used
  std::vector<double> slopes;       // one for each
};

// ---- your part ----
void hand_on(const Op& op, double dy, std::vector<double>& gradient) {
  todo("hand_on must add dy times each slope to the gradient of that input");
}
// ---- end of your part ----
