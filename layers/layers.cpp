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

Tensor L1Loss::operator()(const Tensor& x, const Tensor& target) const {
  check(x.shape() == target.shape(), "l1_loss: shapes must be equal, got ", x.shape(), " and ",
        target.shape());
  return reduce(abs(x - target), reduction_);
}

}  // namespace gradwalk
