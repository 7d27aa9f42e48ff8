#include "layers/recurrent/gru.hpp"

namespace gradwalk {

GRU::GRU(std::size_t input_size, std::size_t hidden_size, Generator& generator,
         const RecurrentOptions& options)
    : RecurrentLayer("gru", 3, input_size, hidden_size, {hidden_size}, generator, options) {}

Unrolled GRU::run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                        const Lengths& lengths) const {
  std::vector<Cell> cells;
  for (const RecurrentParameters& p : directions)
    cells.push_back([&p](const Tensor& x_t, const Tensors& state) -> Tensors {
      return {gru_cell(x_t, state[0], p)};
    });
  return unroll(cells, x, start, lengths);
}

GRUCell::GRUCell(std::size_t input_size, std::size_t hidden_size, Generator& generator, bool bias)
    : RecurrentModule("gru_cell", 3, hidden_size),
      parameters_(make_parameters("", input_size, hidden_size, bias, generator)) {}

}  // namespace gradwalk
