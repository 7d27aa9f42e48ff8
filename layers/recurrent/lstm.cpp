#include "layers/recurrent/lstm.hpp"

#include "core/error.hpp"
#include "layers/recurrent/arguments.hpp"

namespace gradwalk {

LstmOutput lstm_composed(const Tensor& x, const Directions& directions, const Lengths& lengths,
                         const Tensor& h_0, const Tensor& c_0) {
  const RecurrentArguments a = check_recurrent("lstm", 4, x, directions, lengths, {h_0, c_0});
  std::vector<Cell> cells;
  for (const RecurrentParameters& p : a.directions)
    cells.push_back([&p](const Tensor& x_t, const Tensors& state) -> Tensors {
      const auto [h, c] = lstm_cell(x_t, {state[0], state[1]}, p);
      return {h, c};
    });
  const auto [output, state] = unroll(cells, x, a.states, lengths);
  return {output, state[0], state[1]};
}

LSTM::LSTM(std::size_t input_size, std::size_t hidden_size, Generator& generator,
           const LstmOptions& options)
    : RecurrentLayer("lstm", 4, input_size, hidden_size,
                     {options.proj_size > 0 ? options.proj_size : hidden_size, hidden_size},
                     generator, options) {
  check(options.proj_size < hidden_size, "lstm: proj_size must be less than hidden_size ",
        hidden_size, ", got ", options.proj_size);
}

Unrolled LSTM::run_layer(const Tensor& x, const Directions& directions, const Tensors& start,
                         const Lengths& lengths) const {
  const auto f = options_.fused && !directions[0].weight_hr.defined() ? lstm : lstm_composed;
  const LstmOutput out = f(x, directions, lengths, start[0], start[1]);
  return {out.output, {out.h_n, out.c_n}};
}

LSTMCell::LSTMCell(std::size_t input_size, std::size_t hidden_size, Generator& generator, bool bias)
    : RecurrentModule("lstm_cell", 4, hidden_size),
      parameters_(make_parameters("", input_size, hidden_size, bias, generator)) {}

}  // namespace gradwalk
