// Chapter 5, embeddings.
//
// The rule of a lookup y[i, d] = table[ids(i), d], written densely: row i of dy
// belongs to row ids(i) of the table.
//   dtable [V, D] begins as zeros; dtable[ids(i), d] gets dy[i, d]
// A word that comes twice in a text has been used twice: think of exercise 04.
// full({V, D}, 0) makes the zeros.
// In the code base: scatter_rows() in core/ops/lookup.cpp.
#include "core/indices.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
Array gather_rule(const Indices& ids, const Array& dy, std::size_t V) {
  todo("gather_rule must return dL/dtable [V, D]");
}
// ---- end of your part ----
