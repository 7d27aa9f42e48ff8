// Ops with several outputs. Such an op is a node without a value, and the only input of each of its
// outputs, which are tensors like any other. Their rule hands dy on to the op, which has its turn
// when all of them have had theirs.
#pragma once

#include "core/tensor.hpp"

namespace gradwalk {

// record() for an op that makes several values. The rule is given the gradient of each; dys[k] is
// undefined where the loss does not depend on output k. Throws std::logic_error without a rule, or
// if an input is undefined.
Tensors record_many(const char* op, const Tensors& inputs, std::vector<Array> values,
                    RuleOfMany rule);

}  // namespace gradwalk
