// Chapter 0, one number through four ops.
//
// The same four ops, and the way back:
//   p = x * w      s = p + b      t = tanh(s)      L = t^2
// Begin with dL/dL = 1 and go from the last op to the first. Each multiplies
// what has arrived by its own derivative:
//   dL/dt = 2 t     tanh'(s) = 1 - t^2     ds/dp = ds/db = 1     dp/dx = w
// The engine does this for any graph: core/autograd.cpp.
#include <cmath>

#include "examples/course/todo.hpp"

struct Slopes {
  double x, w, b;  // dL/dx, dL/dw and dL/db
};

// ---- your part ----
Slopes chain_rule(double x, double w, double b) {
  double t = std::tanh(x * w + b);
  todo("chain_rule must return {dL/dx, dL/dw, dL/db}");
}
// ---- end of your part ----
