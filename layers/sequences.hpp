// Sequences of different lengths in one batch.
#pragma once

#include <vector>

#include "core/indices.hpp"
#include "core/tensor.hpp"

namespace gradwalk {

// N sequences of at most T steps: of sequence n only the first lengths[n] steps count, 1 <=
// lengths[n] <= T, and what follows is padding. A layer that would otherwise take padding for data
// takes these types, so that lengths cannot be lost on the way. In PyTorch such a batch is packed:
// https://pytorch.org/docs/stable/generated/torch.nn.utils.rnn.PackedSequence.html
using Lengths = std::vector<std::size_t>;  // [N]
struct IdSequences {
  Indices ids;  // [T, N]
  Lengths lengths;
};
struct Sequences {
  Tensor values;  // [T, N, D]
  Lengths lengths;
};

// Throws std::invalid_argument unless there is a length for each sequence of values [T, N, D], from
// 1 to T.
void check_lengths(const char* op, const Lengths& lengths, const Shape& values);

}  // namespace gradwalk
