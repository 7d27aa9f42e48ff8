#include "layers/recurrent/rnn.hpp"

#include "layers/recurrent/arguments.hpp"

namespace gradwalk {

Unrolled rnn_composed(const Tensor& x, const Directions& directions, const Lengths& lengths,
                      const Tensor& h_0, Nonlinearity nonlinearity) {
  const RecurrentArguments a = check_recurrent("rnn", 1, x, directions, lengths, {h_0});
  std::vector<Cell> cells;
  for (const RecurrentParameters& p : a.directions)
    cells.push_back([&p, nonlinearity](const Tensor& x_t, const Tensors& state) -> Tensors {
      return {rnn_cell(x_t, state[0], p, nonlinearity)};
    });
  return unroll(cells, x, a.states, lengths);
}

RNN::RNN(std::size_t input_size, std::size_t hidden_size, Generator& generator,
         const RnnOptions& options)
    : RecurrentLayer("rnn", 1, input_size, hidden_size, {hidden_size}, generator, options),
      nonlinearity_(options.nonlinearity) {}

Unrolled RNN::run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                        const Lengths& lengths) const {
  return (options_.fused ? rnn : rnn_composed)(x, directions, lengths, start[0], nonlinearity_);
}

RNNCell::RNNCell(std::size_t input_size, std::size_t hidden_size, Generator& generator, bool bias,
                 Nonlinearity nonlinearity)
    : RecurrentModule("rnn_cell", 1, hidden_size),
      parameters_(make_parameters("", input_size, hidden_size, bias, generator)),
      nonlinearity_(nonlinearity) {}

}  // namespace gradwalk
