// The loop over time that runs a cell. Shapes, lengths and numbers of cells and states that do not
// fit throw std::invalid_argument.
#pragma once

#include <functional>
#include <vector>

#include "core/ops.hpp"
#include "layers/sequences.hpp"

namespace gradwalk {

// The state after a step from the one before: {h}, or {h, c}, each [N, *].
using Cell = std::function<Tensors(const Tensor& x_t, const Tensors& state)>;
struct Unrolled {
  Tensor output;  // [T, N, H]   h_t; zero from a row's length on
  Tensors state;  // at each row's last step
};
// Runs a cell over x [T, N, D] for t = 0 ... T-1, from a state that may be undefined if the cell
// takes it so. Row n runs for lengths[n] steps, 1 <= lengths[n] <= T; all T if lengths is empty. A
// second cell runs from each row's last step to its first; outputs and states of both are side by
// side, those of the first cell in front.
Unrolled unroll(const std::vector<Cell>& cells, const Tensor& x, const Tensors& state,
                const Lengths& lengths = {});
// y[t, n, :] = x[lengths[n] - 1 - t, n, :] for t < lengths[n], and x from there on
//   dx = reverse_sequences(dy).   x [T, N, D], lengths as above
Tensor reverse_sequences(const Tensor& x, const Lengths& lengths = {});

}  // namespace gradwalk
