#include "layers/layers.hpp"

#include <cmath>

#include "core/error.hpp"

namespace gradwalk {
namespace {

Array uniform_within(const Shape& shape, std::size_t fan, Generator& generator) {
  const Real bound =
      fan == 0 ? Real(0) : static_cast<Real>(1 / std::sqrt(static_cast<double>(fan)));
  return uniform(shape, -bound, bound, generator);
}

}  // namespace

Linear::Linear(std::size_t in_features, std::size_t out_features, Generator& generator, bool bias)
    : weight_(parameter("weight",
                        uniform_within({out_features, in_features}, in_features, generator))) {
  if (bias) bias_ = parameter("bias", uniform_within({out_features}, in_features, generator));
}

Dropout::Dropout(double p, Generator& generator) : p_(p), generator_(generator) {
  check(p >= 0 && p < 1, "dropout: the probability must be in [0, 1), got ", p);
}

LSTM::LSTM(std::size_t input_size, std::size_t hidden_size, Generator& generator,
           LstmOptions options)
    : options_(options) {
  check(hidden_size > 0, "lstm: hidden_size must be positive");
  const std::size_t gates = 4 * hidden_size;
  parameters_.weight_ih =
      parameter("weight_ih_l0", uniform_within({gates, input_size}, hidden_size, generator));
  parameters_.weight_hh =
      parameter("weight_hh_l0", uniform_within({gates, hidden_size}, hidden_size, generator));
  parameters_.bias_ih = parameter("bias_ih_l0", uniform_within({gates}, hidden_size, generator));
  parameters_.bias_hh = parameter("bias_hh_l0", uniform_within({gates}, hidden_size, generator));
}

LstmOutput LSTM::operator()(const Tensor& x, const std::vector<std::size_t>& lengths) const {
  return options_.fused ? lstm(x, parameters_, lengths) : lstm_composed(x, parameters_, lengths);
}

Tensor L1Loss::operator()(const Tensor& x, const Tensor& target) const {
  check(x.shape() == target.shape(), "l1_loss: shapes must be equal, got ", x.shape(), " and ",
        target.shape());
  return reduce(abs(x - target), reduction_);
}

}  // namespace gradwalk
