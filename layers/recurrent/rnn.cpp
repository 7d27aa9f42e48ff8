#include "layers/recurrent/rnn.hpp"

namespace gradwalk {

RNN::RNN(std::size_t input_size, std::size_t hidden_size, Generator& generator,
         const RnnOptions& options)
    : RecurrentLayer("rnn", 1, input_size, hidden_size, {hidden_size}, generator, options),
      nonlinearity_(options.nonlinearity) {}

Unrolled RNN::run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                        const Lengths& lengths) const {
  std::vector<Cell> cells;
  for (const RecurrentParameters& p : directions)
    cells.push_back([&p, this](const Tensor& x_t, const Tensors& state) -> Tensors {
      return {rnn_cell(x_t, state[0], p, nonlinearity_)};
    });
  return unroll(cells, x, start, lengths);
}

RNNCell::RNNCell(std::size_t input_size, std::size_t hidden_size, Generator& generator, bool bias,
                 Nonlinearity nonlinearity)
    : RecurrentModule("rnn_cell", 1, hidden_size),
      parameters_(make_parameters("", input_size, hidden_size, bias, generator)),
      nonlinearity_(nonlinearity) {}

}  // namespace gradwalk
