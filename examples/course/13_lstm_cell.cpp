// Chapter 6, recurrent networks.
//
// One unit of an LSTM. Its gates have been computed already, from sums a:
//   i = sigmoid(a_i)   f = sigmoid(a_f)   g = tanh(a_g)   o = sigmoid(a_o)
//   c' = f * c + i * g      h' = o * tanh(c')
// dh = dL/dh' and dc = dL/dc' arrive from above: c' is used by h' and by the next
// step, so it gets dc and what comes through h'. Return the gradient of each a
// and of c. sigmoid' is s (1 - s), tanh' is 1 - t^2.
// In the code base: layers/recurrent/fused_cells.cpp; the way forward is in cells.cpp.
#include <cmath>

#include "examples/course/todo.hpp"

struct Gates {
  double i, f, g, o;
};
struct LstmSlopes {
  Gates a;   // dL/da_i, dL/da_f, dL/da_g and dL/da_o
  double c;  // dL/dc
};

// ---- your part ----
LstmSlopes lstm_rule(Gates gate, double c, double dh, double dc) {
  double t = std::tanh(gate.f * c + gate.i * gate.g);
  todo("lstm_rule must return the gradients of the four sums and of c");
}
// ---- end of your part ----
