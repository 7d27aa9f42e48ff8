// A recurrent layer over a whole sequence as one op: what unroll() does with a cell of small ops,
// in an order that suits the machine. A cell brings only its arithmetic on one row at one step.
#pragma once

#include "layers/recurrent/cells.hpp"
#include "layers/recurrent/unroll.hpp"

namespace gradwalk {

// A step keeps columns * H numbers of a row, `a`: at first pre-activations without their bias.
// x . weight_ih^T goes to its first gates * H and h . weight_hh^T to its last. Gates that sum both
// share their columns; a gate that needs them apart is the last of weight_ih, and comes first here.
struct FusedCell {
  const char* name;
  std::size_t gates, columns;
  bool keeps_h;  // dL/dh of the step before does not only come through the gates
  // a: what backward() needs of it out; c and h of this step from those before
  void (*forward)(std::size_t H, Real* a, const Real* bias, const Real* h_before,
                  const Real* c_before, Real* c, Real* h);
  // a as forward() left it, dL/dh and dL/dc in; dL/d(pre-activations) in its place, dL/dc of the
  // step before in dc, and what reaches dL/dh past the gates in dh
  void (*backward)(std::size_t H, Real* a, const Real* h_before, const Real* c_before,
                   const Real* c, Real* dh, Real* dc);
  // its readable twin
  Unrolled (*composed)(const Tensor& x, const Directions& directions, const Lengths& lengths,
                       const Tensors& states);
};

// states: h_0 and, of an LSTM, c_0, zeros where undefined; the rest as in unroll(). The second
// derivative is the twin's. Throws std::invalid_argument if shapes, lengths or the count of
// directions do not fit, or h is projected.
Unrolled run_fused(const FusedCell& cell, const Tensor& x, const Directions& directions,
                   const Lengths& lengths, const Tensors& states);

}  // namespace gradwalk
