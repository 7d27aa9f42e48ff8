// The LSTM made of small ops, to read, and to differentiate twice. lstm_fused.cpp computes the same
// thing faster.
#include "core/error.hpp"
#include "core/ops/recurrent.hpp"

namespace gradwalk {

LstmSizes check_lstm(const Tensor& x, const Directions& directions, const Lengths& lengths,
                     const Tensor& h_0, const Tensor& c_0) {
  check(x.dim() == 3 && x.shape(0) > 0, "lstm: the input must be [T, N, D] with T > 0, got ",
        x.shape());
  check(directions.size() == 1 || directions.size() == 2, "lstm: has one direction or two, got ",
        directions.size());
  const auto [H, R] = check_parameters("lstm", 4, x, directions[0]);
  const auto [other_H, other_R] = check_parameters("lstm", 4, x, directions.back());
  check(H == other_H && R == other_R, "lstm: both directions must have the same sizes");
  const LstmSizes s{x.shape(0), x.shape(1), x.shape(2), H, directions.size() * H};
  if (!lengths.empty()) check_lengths("lstm", lengths, s.T, s.N);
  or_zeros("lstm", "h_0", h_0, {s.N, directions.size() * R});
  or_zeros("lstm", "c_0", c_0, {s.N, s.W});
  return s;
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

LstmOutput lstm_composed(const Tensor& x, const Directions& directions, const Lengths& lengths,
                         const Tensor& h_0, const Tensor& c_0) {
  check_lstm(x, directions, lengths, h_0, c_0);
  std::vector<Cell> cells;
  for (const RecurrentParameters& p : directions)
    cells.push_back([&p](const Tensor& x_t, const Tensors& state) -> Tensors {
      const auto [h, c] = lstm_cell(x_t, {state[0], state[1]}, p);
      return {h, c};
    });
  const auto [output, state] = unroll(cells, x, {h_0, c_0}, lengths);
  return {output, state[0], state[1]};
}

}  // namespace gradwalk
