// Sequences of different lengths in one batch.
#pragma once

#include <vector>

#include "core/indices.hpp"
#include "core/tensor.hpp"

namespace gradwalk {

// N sequences of at most T steps: of sequence n only the first lengths[n] steps count, 1 <=
// lengths[n] <= T, and what follows is padding. A layer that would otherwise take padding for data
// takes these types, so that lengths cannot be lost on the way.
using Lengths = std::vector<std::size_t>;  // [N]
struct IdSequences {
  Indices ids;  // [T, N]
  Lengths lengths;
};
struct Sequences {
  Tensor values;  // [T, N, D]
  Lengths lengths;
};

// There must be a length for each sequence of values [T, N, D], and it must be within 1..T.
void check_lengths(const char* op, const Lengths& lengths, const Shape& values);

}  // namespace gradwalk
