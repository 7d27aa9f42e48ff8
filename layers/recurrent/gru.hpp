// Gated recurrent unit (Cho et al. 2014).
#pragma once

#include "layers/recurrent/recurrent_layer.hpp"

namespace gradwalk {

// The cell over x [T, N, D] from h_0 [N, H], zeros if undefined; lengths, and two directions side
// by side, as in unroll. gru_composed is unroll(gru_cell); gru is the same as one fused op. Both
// throw std::invalid_argument if shapes, lengths or the count of directions do not fit.
// https://pytorch.org/docs/stable/generated/torch.nn.GRU.html
Unrolled gru(const Tensor& x, const Directions& directions, const Lengths& lengths = {},
             const Tensor& h_0 = {});
Unrolled gru_composed(const Tensor& x, const Directions& directions, const Lengths& lengths = {},
                      const Tensor& h_0 = {});

// gru_cell over time; gates in the order r, z, n.
// x [T, N, input_size] -> output [T, N, directions * hidden_size].
// States, options and what it throws are RecurrentLayer's.
// https://pytorch.org/docs/stable/generated/torch.nn.GRU.html
class GRU : public RecurrentLayer {
 public:
  GRU(std::size_t input_size, std::size_t hidden_size, Generator& generator,
      const RecurrentOptions& options = {});

 private:
  Unrolled run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                     const Lengths& lengths) const override;
};

// One step: x [N, input_size], h [N, hidden_size], zeros if left out -> h after it, shaped alike.
// Throws std::invalid_argument if x or h is shaped otherwise, or hidden_size is 0.
// https://pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
class GRUCell : public RecurrentModule {
 public:
  GRUCell(std::size_t input_size, std::size_t hidden_size, Generator& generator, bool bias = true);
  Tensor operator()(const Tensor& x, const Tensor& h = {}) const {
    return gru_cell(x, h, parameters_);
  }

 private:
  RecurrentParameters parameters_;
};

}  // namespace gradwalk
