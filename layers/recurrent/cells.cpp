#include "layers/recurrent/cells.hpp"

#include "layers/recurrent/arguments.hpp"

namespace gradwalk {

Tensor rnn_cell(const Tensor& x, const Tensor& h_before, const RecurrentParameters& p,
                Nonlinearity nonlinearity) {
  const Tensor h = checked_h("rnn_cell", 1, x, h_before, p);
  const Tensor a = linear(x, p.weight_ih, p.bias_ih) + linear(h, p.weight_hh, p.bias_hh);
  return nonlinearity == Nonlinearity::kTanh ? tanh(a) : relu(a);
}

Tensor gru_cell(const Tensor& x, const Tensor& h_before, const RecurrentParameters& p) {
  const Tensor h = checked_h("gru_cell", 3, x, h_before, p);
  const Tensors a = split(linear(x, p.weight_ih, p.bias_ih), h.shape(1), 1),
                b = split(linear(h, p.weight_hh, p.bias_hh), h.shape(1), 1);
  const Tensor r = sigmoid(a[0] + b[0]), z = sigmoid(a[1] + b[1]), n = tanh(a[2] + r * b[2]);
  return n + z * (h - n);  // (1 - z) * n + z * h
}

LstmState lstm_cell(const Tensor& x, const LstmState& before, const RecurrentParameters& p) {
  const Tensor h = checked_h("lstm_cell", 4, x, before.h, p);
  const std::size_t H = p.weight_hh.shape(0) / 4;
  const Tensor c_before = or_zeros("lstm_cell", "c", before.c, {x.shape(0), H});
  const Tensors a =
      split(linear(x, p.weight_ih, p.bias_ih) + linear(h, p.weight_hh, p.bias_hh), H, 1);
  const Tensor i = sigmoid(a[0]), f = sigmoid(a[1]), g = tanh(a[2]), o = sigmoid(a[3]);
  const Tensor c = f * c_before + i * g, h_after = o * tanh(c);
  return {p.weight_hr.defined() ? linear(h_after, p.weight_hr, {}) : h_after, c};
}

}  // namespace gradwalk
