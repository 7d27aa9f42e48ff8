// What recurrent ops require of their arguments, and zeros for those that were left out. What does
// not fit throws std::invalid_argument that begins with `op`.
#pragma once

#include "layers/recurrent/cells.hpp"
#include "layers/sequences.hpp"

namespace gradwalk {

// t, which must be of this shape, or zeros if it is undefined.
Tensor or_zeros(const char* op, const char* name, const Tensor& t, const Shape& shape);

struct StateSizes {
  std::size_t H;  // of c
  std::size_t R;  // of h: H, unless it is projected
};
// The parameters of a cell with so many gates must fit each other and x [..., D].
StateSizes check_parameters(const char* op, std::size_t gates, const Tensor& x,
                            const RecurrentParameters& p);

// The h that a cell starts from, once its arguments have been checked.
Tensor checked_h(const char* op, std::size_t gates, const Tensor& x, const Tensor& h,
                 const RecurrentParameters& p);

// The arguments of a recurrent op over time, once they have been checked; none is left out.
struct RecurrentArguments {
  Tensor x;
  Tensors states;  // h_0 and, of an LSTM, c_0
  Directions directions;
  Lengths lengths;
  std::size_t T, N, D, H;
  std::size_t W;  // of all directions' H side by side
};
RecurrentArguments check_recurrent(const char* op, std::size_t gates, const Tensor& x,
                                   const Directions& directions, const Lengths& lengths,
                                   const Tensors& states);

}  // namespace gradwalk
