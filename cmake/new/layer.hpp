// The layer MyName.
#pragma once

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

// y[..., features] = x[..., features] * weight[features]; an example: put your formula here
//   weight [features], 1 at first
class MyName : public Module {
 public:
  explicit MyName(std::size_t features);
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor weight_;
};

}  // namespace gradwalk
