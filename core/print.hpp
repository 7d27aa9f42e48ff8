// Printing, as NumPy and PyTorch do: numbers in columns, long axes shortened to both of their ends.
//
//   [[1, 2],
//    [3, 4]]  mul [2, 2] requires_grad    the op that made it, if it is no leaf, and its shape
#pragma once

#include <iosfwd>

#include "core/gradient.hpp"

namespace gradwalk {

std::ostream& operator<<(std::ostream& out, const Array& a);
std::ostream& operator<<(std::ostream& out, const ArrayOf<std::int64_t>& ids);
std::ostream& operator<<(std::ostream& out, const Tensor& t);
// none, the numbers of a dense one, or the ids of the rows and then the rows
std::ostream& operator<<(std::ostream& out, const Gradient& g);

}  // namespace gradwalk
