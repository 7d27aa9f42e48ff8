// Long short-term memory (Hochreiter and Schmidhuber 1997; with a forget gate, Gers et al. 2000).
#pragma once

#include "layers/recurrent/recurrent_layer.hpp"

namespace gradwalk {

struct LstmOutput {
  Tensor output;  // [T, N, R]   h_t; zero from a row's length on
  Tensor h_n;     // [N, R]      h at each row's last step
  Tensor c_n;     // [N, H]
};
// The cell over x [T, N, D] from h_0 [N, R] and c_0 [N, H], zeros where undefined; lengths, and two
// directions side by side, as in unroll. lstm_composed is unroll(lstm_cell); lstm is the same as
// one fused op, without weight_hr. Both throw std::invalid_argument if shapes, lengths or the count
// of directions do not fit; lstm also if there is a weight_hr.
// https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html
LstmOutput lstm(const Tensor& x, const Directions& directions, const Lengths& lengths = {},
                const Tensor& h_0 = {}, const Tensor& c_0 = {});
LstmOutput lstm_composed(const Tensor& x, const Directions& directions, const Lengths& lengths = {},
                         const Tensor& h_0 = {}, const Tensor& c_0 = {});

struct LstmOptions : RecurrentOptions {
  std::size_t proj_size = 0;  // 0: h is not projected (Sak et al. 2014)
};

// lstm_cell over time; gates in the order i, f, g, o. Also called with a c_0 shaped as c_n.
// x [T, N, input_size] -> output [T, N, directions * H_out].
// States, options and what it throws are RecurrentLayer's. Also throws std::invalid_argument if
// proj_size is not below hidden_size.
// https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html
class LSTM : public RecurrentLayer {
 public:
  LSTM(std::size_t input_size, std::size_t hidden_size, Generator& generator,
       const LstmOptions& options = {});
  using RecurrentLayer::operator();
  RecurrentOutput<Tensor> operator()(const Tensor& x, const Tensor& h_0, const Tensor& c_0) const {
    return run(x, {h_0, c_0});
  }
  RecurrentOutput<Sequences> operator()(const Sequences& x, const Tensor& h_0,
                                        const Tensor& c_0) const {
    return run(x, {h_0, c_0});
  }

 private:
  Unrolled run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                     const Lengths& lengths) const override;
};

// One step: x [N, input_size], h and c [N, hidden_size], zeros if left out -> both after it.
// Throws std::invalid_argument if x, h or c is shaped otherwise, or hidden_size is 0.
// https://pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
class LSTMCell : public RecurrentModule {
 public:
  LSTMCell(std::size_t input_size, std::size_t hidden_size, Generator& generator, bool bias = true);
  LstmState operator()(const Tensor& x, const LstmState& before = {}) const {
    return lstm_cell(x, before, parameters_);
  }

 private:
  RecurrentParameters parameters_;
};

}  // namespace gradwalk
