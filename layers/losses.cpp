#include "layers/losses.hpp"

#include "core/error.hpp"

namespace gradwalk {

Tensor L1Loss::operator()(const Tensor& x, const Tensor& target) const {
  check(x.shape() == target.shape(), "l1_loss: shapes must be equal, got ", x.shape(), " and ",
        target.shape());
  return reduce(abs(x - target), reduction_);
}

}  // namespace gradwalk
