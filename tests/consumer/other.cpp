#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"

gradwalk::Tensor twice(const gradwalk::Tensor& x) { return x * 2; }
