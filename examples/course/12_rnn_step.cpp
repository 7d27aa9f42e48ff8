// Chapter 6, recurrent networks.
//
// A recurrent network reads a sentence word by word and keeps a state h. One
// step, for N sentences at once:
//   h' = tanh(x . w_ih^T + h . w_hh^T + bias)
//   x [N, D], h and h' [N, H], w_ih [H, D], w_hh [H, H], bias [H]
// Weights have their outputs first, as in PyTorch, so they are transposed in the
// product. The bias broadcasts.
// In the code base: rnn_cell() in layers/recurrent/cells.cpp.
#include "core/ops.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
Tensor rnn_step(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& bias) {
  todo("rnn_step must return the next state h'");
}
// ---- end of your part ----
