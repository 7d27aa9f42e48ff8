// Long short-term memory (Hochreiter and Schmidhuber 1997; with a forget gate, Gers et al. 2000).
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

struct LstmOptions {
  bool fused = true;  // one op over the whole sequence; false: its readable twin, made of small ops
};

// x [T, N, input_size] -> output [T, N, H], h_n and c_n [N, H], H = hidden_size; formula in
// core/ops.hpp. Parameters: weight_ih_l0 [4H, input_size], weight_hh_l0 [4H, H], bias_ih_l0 and
// bias_hh_l0 [4H], by gates i, f, g, o, all ~ U(-1/sqrt(H), 1/sqrt(H)).
// https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html (h_n and c_n have an axis more there)
class LSTM : public Module {
 public:
  LSTM(std::size_t input_size, std::size_t hidden_size, Generator& generator,
       LstmOptions options = {});
  // lengths: the true length of each of the N rows; empty: all T.
  LstmOutput operator()(const Tensor& x, const std::vector<std::size_t>& lengths = {}) const;

 private:
  LstmOptions options_;
  LstmParameters parameters_;
};

}  // namespace gradwalk
