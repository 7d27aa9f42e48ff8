// Chapter 5, embeddings.
//
// An embedding is a table [V, D] with one row, a vector, for each of V words.
// Looking up n ids copies n of its rows:
//   y[i, d] = table[ids(i), d]      ids [n], y [n, D]
// An id may come several times, and ids(i) reads the one at place i. Allocate y
// with empty({n, D}): its numbers are NaN here until you write them.
// In the code base: gather_rows() in core/ops/lookup.cpp.
#include "core/indices.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
Array gather(const Array& table, const Indices& ids) {
  todo("gather must return one row of the table for each id");
}
// ---- end of your part ----
