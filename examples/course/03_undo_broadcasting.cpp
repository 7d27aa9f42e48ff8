// Chapter 1, tensors.
//
// A bias [D] is added to each row of an array [N, D]: it is broadcast. Each of
// its numbers was used N times, so its gradient is the sum of N numbers of dy.
//   dx [rows, columns] from dy [N, D]:  rows is N or 1, columns is D or 1
// Where an axis of dx has length 1, dy is summed along it.
//   dy [3, 2] to [1, 2]: a sum for each column;  to [3, 1]: one for each row
// dy(n, d) reads an element, full({2, 3}, 0) makes an array of zeros.
// In the code base: sum_to() in core/ops/shape.cpp.
#include "core/array.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
Array undo_broadcasting(const Array& dy, std::size_t rows, std::size_t columns) {
  todo("undo_broadcasting must sum dy to the shape [rows, columns]");
}
// ---- end of your part ----
