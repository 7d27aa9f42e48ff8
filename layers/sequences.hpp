// Sequences of different lengths in one batch.
#pragma once

#include <vector>

#include "core/indices.hpp"
#include "core/tensor.hpp"

namespace gradwalk {

// N sequences of at most T steps: of sequence n only the first lengths[n] steps count, 1 <=
// lengths[n] <= T, and what stands after them is padding. A layer that would otherwise take padding
// for data takes these types, so that lengths cannot be lost on the way.
struct IdSequences {
  Indices ids;                       // [T, N]
  std::vector<std::size_t> lengths;  // [N]
};
struct Sequences {
  Tensor values;                     // [T, N, D]
  std::vector<std::size_t> lengths;  // [N]
};

}  // namespace gradwalk
