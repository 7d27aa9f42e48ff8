#include "layers/recurrent/gru.hpp"

#include "layers/recurrent/arguments.hpp"

namespace gradwalk {

Unrolled gru_composed(const Tensor& x, const Directions& directions, const Lengths& lengths,
                      const Tensor& h_0) {
  const RecurrentArguments a = check_recurrent("gru", 3, x, directions, lengths, {h_0});
  std::vector<Cell> cells;
  for (const RecurrentParameters& p : a.directions)
    cells.push_back([&p](const Tensor& x_t, const Tensors& state) -> Tensors {
      return {gru_cell(x_t, state[0], p)};
    });
  return unroll(cells, x, a.states, lengths);
}

GRU::GRU(std::size_t input_size, std::size_t hidden_size, Generator& generator,
         const RecurrentOptions& options)
    : RecurrentLayer("gru", 3, input_size, hidden_size, {hidden_size}, generator, options) {}

Unrolled GRU::run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                        const Lengths& lengths) const {
  return (options_.fused ? gru : gru_composed)(x, directions, lengths, start[0]);
}

GRUCell::GRUCell(std::size_t input_size, std::size_t hidden_size, Generator& generator, bool bias)
    : RecurrentModule("gru_cell", 3, hidden_size),
      parameters_(make_parameters("", input_size, hidden_size, bias, generator)) {}

}  // namespace gradwalk
