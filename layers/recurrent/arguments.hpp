// What the recurrent ops check, and what they take for an argument that was left out.
#pragma once

#include "layers/recurrent/cells.hpp"
#include "layers/recurrent/unroll.hpp"

namespace gradwalk {

// There must be a length for each of N rows, within 1..T.
void check_lengths(const char* op, const Lengths& lengths, std::size_t T, std::size_t N);

struct StateSizes {
  std::size_t H;  // of c
  std::size_t R;  // of h: H, unless it is projected
};
// The parameters of a cell with so many gates must fit each other and x [..., D].
StateSizes check_parameters(const char* op, std::size_t gates, const Tensor& x,
                            const RecurrentParameters& p);

struct LstmSizes {
  std::size_t T, N, D, H;
  std::size_t W;  // of all directions' h side by side
};
// The arguments of lstm() and of its twin must fit each other.
LstmSizes check_lstm(const Tensor& x, const Directions& directions, const Lengths& lengths,
                     const Tensor& h_0, const Tensor& c_0);

// t, which must be of this shape, or zeros if it is undefined.
Tensor or_zeros(const char* op, const char* name, const Tensor& t, const Shape& shape);

// The h that a cell starts from, once its arguments have been checked.
Tensor checked_h(const char* op, std::size_t gates, const Tensor& x, const Tensor& h,
                 const RecurrentParameters& p);

}  // namespace gradwalk
