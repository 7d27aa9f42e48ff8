// The simple recurrent network (Elman 1990).
#pragma once

#include "layers/recurrent/recurrent_layer.hpp"

namespace gradwalk {

// The cell over x [T, N, D] from h_0 [N, H], zeros if undefined; lengths, and two directions side
// by side, as in unroll. rnn_composed is unroll(rnn_cell); rnn is the same as one fused op. Both
// throw std::invalid_argument if shapes, lengths or the count of directions do not fit.
// https://pytorch.org/docs/stable/generated/torch.nn.RNN.html
Unrolled rnn(const Tensor& x, const Directions& directions, const Lengths& lengths = {},
             const Tensor& h_0 = {}, Nonlinearity nonlinearity = Nonlinearity::kTanh);
Unrolled rnn_composed(const Tensor& x, const Directions& directions, const Lengths& lengths = {},
                      const Tensor& h_0 = {}, Nonlinearity nonlinearity = Nonlinearity::kTanh);

// RecurrentOptions, and what the cell applies.
struct RnnOptions : RecurrentOptions {
  Nonlinearity nonlinearity = Nonlinearity::kTanh;
};

// rnn_cell over time.
// x [T, N, input_size] -> output [T, N, directions * hidden_size].
// States, options and what it throws are RecurrentLayer's.
// https://pytorch.org/docs/stable/generated/torch.nn.RNN.html
class RNN : public RecurrentLayer {
 public:
  RNN(std::size_t input_size, std::size_t hidden_size, Generator& generator,
      const RnnOptions& options = {});

 private:
  Unrolled run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                     const Lengths& lengths) const override;
  Nonlinearity nonlinearity_;
};

// One step: x [N, input_size], h [N, hidden_size], zeros if left out -> h after it, shaped alike.
// Throws std::invalid_argument if x or h is shaped otherwise, or hidden_size is 0.
// https://pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
class RNNCell : public RecurrentModule {
 public:
  RNNCell(std::size_t input_size, std::size_t hidden_size, Generator& generator, bool bias = true,
          Nonlinearity nonlinearity = Nonlinearity::kTanh);
  Tensor operator()(const Tensor& x, const Tensor& h = {}) const {
    return rnn_cell(x, h, parameters_, nonlinearity_);
  }

 private:
  RecurrentParameters parameters_;
  Nonlinearity nonlinearity_;
};

}  // namespace gradwalk
