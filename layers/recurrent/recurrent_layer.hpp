// What LSTM, GRU and RNN share: layers, directions, lengths and the states they start from.
#pragma once

#include <string>

#include "layers/module.hpp"
#include "layers/recurrent/cells.hpp"
#include "layers/recurrent/unroll.hpp"
#include "layers/sequences.hpp"

namespace gradwalk {

struct RecurrentOptions {
  std::size_t num_layers = 1;
  bool bidirectional = false;  // each layer also runs backwards, from each row's own end
  // In training, on what goes from one layer to the next; with one layer std::cerr is told that it
  // has no effect. The layer then keeps the generator, which must outlive it.
  double dropout = 0;
  bool batch_first = false;  // Tensors are [N, T, ...]; Sequences and states do not change
  bool bias = true;
  // One op over the whole sequence, unless h is projected; false: its readable twin, of small ops.
  bool fused = true;
};

// What a recurrent layer returns: S is Tensor or Sequences, whichever it was given, so that lengths
// travel on. H_out is hidden_size, or proj_size; L = num_layers * directions, layer by layer,
// forwards before backwards.
template <class S>
struct RecurrentOutput {
  S output;     // [T, N, directions * H_out]   h_t of the last layer; zero from a row's length on
  Tensor h_n;   // [L, N, H_out]                h after each row's last step
  Tensor c_n;   // [L, N, hidden_size]          of an LSTM
  Tensor last;  // [N, directions * H_out]      h_n of the last layer, directions side by side
};

// A module with the parameters of cells that have G gates: weight_ih [G * H, input_size], weight_hh
// [G * H, H_out], bias_ih and bias_hh [G * H] and, if H_out is not H = hidden_size, weight_hr
// [H_out, H]; all ~ U(-1/sqrt(H), 1/sqrt(H)).
class RecurrentModule : public Module {
 protected:
  RecurrentModule(const char* name, std::size_t gates, std::size_t hidden_size);
  RecurrentParameters make_parameters(const std::string& suffix, std::size_t input_size,
                                      std::size_t H_out, bool bias, Generator& generator);

  const char* name_;  // errors begin with it
  std::size_t gates_, hidden_size_;
};

// x [T, N, input_size], and h_0 shaped as h_n, zeros if left out -> RecurrentOutput. The names of
// layer k's parameters end in _lk, those of its backward direction in _lk_reverse.
// Throws std::invalid_argument if hidden_size or num_layers is 0 or dropout is not in [0, 1); and,
// when called, if shapes or lengths do not fit or T is 0.
class RecurrentLayer : public RecurrentModule {
 public:
  RecurrentOutput<Tensor> operator()(const Tensor& x, const Tensor& h_0 = {}) const {
    return run(x, {h_0});
  }
  RecurrentOutput<Sequences> operator()(const Sequences& x, const Tensor& h_0 = {}) const {
    return run(x, {h_0});
  }

 protected:
  // state_sizes: H_out and, of an LSTM, hidden_size
  RecurrentLayer(const char* name, std::size_t gates, std::size_t input_size,
                 std::size_t hidden_size, std::vector<std::size_t> state_sizes,
                 Generator& generator, const RecurrentOptions& options);
  // From h_0 and c_0; zeros where undefined or left out.
  RecurrentOutput<Tensor> run(const Tensor& x, const Tensors& start) const;
  RecurrentOutput<Sequences> run(const Sequences& x, const Tensors& start) const;

  RecurrentOptions options_;

 private:
  // One layer; states of its directions are side by side, as in unroll.
  virtual Unrolled run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                             const Lengths& lengths) const = 0;
  RecurrentOutput<Tensor> run_layers(Tensor x, Tensors start, const Lengths& lengths) const;
  void check_input(const Tensor& x, bool batch_first) const;

  std::size_t input_size_, directions_;
  std::vector<std::size_t> state_sizes_;
  Generator& generator_;
  std::vector<Directions> layers_;
};

}  // namespace gradwalk
