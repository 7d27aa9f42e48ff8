// One step of a recurrent network, written with small ops: this is the mathematics to read. From x
// [N, D] and the state before, undefined for zeros, each makes the state after, of the same shape.
// All throw std::invalid_argument if shapes do not fit each other or a weight is missing.
#pragma once

#include "core/ops.hpp"

namespace gradwalk {

// One layer and one direction of a recurrent network with G gates: x [N, D] at each step, state h
// [N, H]. What is undefined is zero, or not there.
struct RecurrentParameters {
  Tensor weight_ih;  // [G * H, D]   rows by gate
  Tensor weight_hh;  // [G * H, R]   R = H, unless h is projected
  Tensor bias_ih;    // [G * H]
  Tensor bias_hh;    // [G * H]
  Tensor weight_hr;  // [R, H]       of an LSTM that projects its h
};
using Directions = std::vector<RecurrentParameters>;  // forwards or, with a second one, both ways
enum class Nonlinearity { kTanh, kRelu };             // of rnn_cell
// tanh or relu of x . weight_ih^T + bias_ih + h . weight_hh^T + bias_hh: h after it, [N, H]
// https://pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
Tensor rnn_cell(const Tensor& x, const Tensor& h, const RecurrentParameters& parameters,
                Nonlinearity nonlinearity = Nonlinearity::kTanh);
// a = x . weight_ih^T + bias_ih, b = h . weight_hh^T + bias_hh, thirds of both:
// r = sigmoid(a_r + b_r), z = sigmoid(a_z + b_z), n = tanh(a_n + r * b_n);
// h' = (1 - z) * n + z * h   [N, H]
// https://pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
Tensor gru_cell(const Tensor& x, const Tensor& h, const RecurrentParameters& parameters);

struct LstmState {
  Tensor h;  // [N, R]
  Tensor c;  // [N, H]
};
// a = x . weight_ih^T + bias_ih + h . weight_hh^T + bias_hh;  i, f, o = sigmoid and g = tanh of
// its quarters;  c' = f * c + i * g;  h' = o * tanh(c'), times weight_hr^T where there is one
// https://pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
LstmState lstm_cell(const Tensor& x, const LstmState& before,
                    const RecurrentParameters& parameters);

}  // namespace gradwalk
