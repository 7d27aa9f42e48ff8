// The loop over time that runs a cell.
#pragma once

#include <functional>
#include <vector>

#include "core/ops.hpp"

namespace gradwalk {

// The state after a step from the one before; states are {h}, or {h, c}.
using Cell = std::function<Tensors(const Tensor& x_t, const Tensors& state)>;
using Lengths = std::vector<std::size_t>;
struct Unrolled {
  Tensor output;  // [T, N, H]   h_t; zero from a row's length on
  Tensors state;  // at each row's last step
};
// Runs a cell over x [T, N, D] for t = 0 ... T-1. Row n runs for lengths[n] steps, 1 <= lengths[n]
// <= T; all T where lengths is empty. A second cell runs from each row's last step to its first;
// outputs and states of both stand side by side, those of the second behind.
Unrolled unroll(const std::vector<Cell>& cells, const Tensor& x, const Tensors& state,
                const Lengths& lengths = {});
// y[t, n, :] = x[lengths[n] - 1 - t, n, :] for t < lengths[n], below it x as it is
//   dx = reverse_sequences(dy).   x [T, N, D], lengths as above
Tensor reverse_sequences(const Tensor& x, const Lengths& lengths = {});

}  // namespace gradwalk
