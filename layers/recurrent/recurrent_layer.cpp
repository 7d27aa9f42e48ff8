#include "layers/recurrent/recurrent_layer.hpp"

#include <iostream>

#include "core/error.hpp"
#include "layers/recurrent/arguments.hpp"

namespace gradwalk {
namespace {

// The states of one layer, [directions, N, H], as it takes them: [N, directions * H]. Most layers
// have one direction, and most networks one layer: what would only copy is left out.
Tensor side_by_side(const Tensor& states) {
  const Shape shape{states.shape(1), states.shape(0) * states.shape(2)};
  return reshape(states.shape(0) == 1 ? states : transpose(states), shape);
}

// The way back: [N, directions * H] -> [directions, N, H]
Tensor apart(const Tensor& states, std::size_t directions) {
  const std::size_t N = states.shape(0), H = states.shape(1) / directions;
  if (directions == 1) return reshape(states, {1, N, H});
  return transpose(reshape(states, {N, directions, H}));
}

Tensor rows(const Tensor& x, std::size_t begin, std::size_t end) {
  return end - begin == x.shape(0) ? x : slice(x, 0, begin, end);
}

Tensor join(const Tensors& xs) {
  return xs.empty() ? Tensor() : xs.size() == 1 ? xs[0] : concat(xs, 0);
}

}  // namespace

RecurrentModule::RecurrentModule(const char* name, std::size_t gates, std::size_t hidden_size)
    : name_(name), gates_(gates), hidden_size_(hidden_size) {
  check(hidden_size > 0, name, ": hidden_size must be positive");
}

RecurrentParameters RecurrentModule::make_parameters(const std::string& suffix,
                                                     std::size_t input_size, std::size_t H_out,
                                                     bool bias, Generator& generator) {
  const auto make = [&](const char* name, const Shape& shape) {
    return parameter(name + suffix, uniform_fan_in(shape, hidden_size_, generator));
  };
  const std::size_t rows = gates_ * hidden_size_;
  RecurrentParameters p;
  p.weight_ih = make("weight_ih", {rows, input_size});
  p.weight_hh = make("weight_hh", {rows, H_out});
  if (bias) p.bias_ih = make("bias_ih", {rows});
  if (bias) p.bias_hh = make("bias_hh", {rows});
  if (H_out != hidden_size_) p.weight_hr = make("weight_hr", {H_out, hidden_size_});
  return p;
}

RecurrentLayer::RecurrentLayer(const char* name, std::size_t gates, std::size_t input_size,
                               std::size_t hidden_size, std::vector<std::size_t> state_sizes,
                               Generator& generator, const RecurrentOptions& options)
    : RecurrentModule(name, gates, hidden_size),
      options_(options),
      input_size_(input_size),
      directions_(options.bidirectional ? 2 : 1),
      state_sizes_(std::move(state_sizes)),
      generator_(generator) {
  check(options.num_layers > 0, name, ": num_layers must be positive");
  check(options.dropout >= 0 && options.dropout < 1, name, ": dropout must be in [0, 1), got ",
        options.dropout);
  if (options.dropout > 0 && options.num_layers == 1)
    std::cerr << name << ": dropout acts between layers; with one layer it has no effect\n";
  for (std::size_t layer = 0; layer < options.num_layers; ++layer) {
    layers_.emplace_back();
    for (const char* direction : {"", "_reverse"}) {
      if (*direction != 0 && !options.bidirectional) continue;
      layers_[layer].push_back(
          make_parameters("_l" + std::to_string(layer) + direction,
                          layer == 0 ? input_size : directions_ * state_sizes_[0], state_sizes_[0],
                          options.bias, generator));
    }
  }
}

void RecurrentLayer::check_input(const Tensor& x, bool batch_first) const {
  check(x.dim() == 3 && x.shape(batch_first ? 1 : 0) > 0 && x.shape(2) == input_size_, name_,
        ": the input must be ", batch_first ? "[N, T, " : "[T, N, ", input_size_,
        "] with T > 0, got ", x.shape());
}

RecurrentOutput<Tensor> RecurrentLayer::run(const Tensor& x, const Tensors& start) const {
  check_input(x, options_.batch_first);
  if (!options_.batch_first) return run_layers(x, start, {});
  RecurrentOutput<Tensor> out = run_layers(transpose(x), start, {});
  out.output = transpose(out.output);
  return out;
}

RecurrentOutput<Sequences> RecurrentLayer::run(const Sequences& x, const Tensors& start) const {
  check_input(x.values, false);
  check_lengths(name_, x.lengths, x.values.shape());
  const RecurrentOutput<Tensor> out = run_layers(x.values, start, x.lengths);
  return {{out.output, x.lengths}, out.h_n, out.c_n, out.last};
}

RecurrentOutput<Tensor> RecurrentLayer::run_layers(Tensor x, Tensors start,
                                                   const Lengths& lengths) const {
  const std::size_t N = x.shape(1), L = layers_.size() * directions_;
  start.resize(state_sizes_.size());
  for (std::size_t k = 0; k < start.size(); ++k) {
    const Shape shape{L, N, state_sizes_[k]};
    if (start[k].defined())
      check(start[k].shape() == shape, name_, k == 0 ? ": h_0" : ": c_0", " must be ", shape,
            ", got ", start[k].shape());
  }
  std::vector<Tensors> states(2);  // h_n and c_n of each layer, [directions, N, H]
  Tensor last;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    if (layer > 0 && options_.dropout > 0 && training())
      x = dropout(x, options_.dropout, generator_);
    Tensors from(start.size());
    for (std::size_t k = 0; k < start.size(); ++k) {
      if (start[k].defined())
        from[k] = side_by_side(rows(start[k], layer * directions_, (layer + 1) * directions_));
    }
    const Unrolled out = run_layer(x, layers_[layer], from, lengths);
    x = out.output;
    last = out.state[0];
    for (std::size_t k = 0; k < start.size(); ++k)
      states[k].push_back(apart(out.state[k], directions_));
  }
  return {x, join(states[0]), join(states[1]), last};
}

}  // namespace gradwalk
