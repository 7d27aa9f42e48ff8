// Chapter 5, embeddings.
//
// A table [V, D] of a million rows, and a gradient in a few of them: it is kept
// as ids and rows, and an id may be listed several times. Before an optimizer
// uses it, each id must be there once, with the sum of its rows:
//   ids {4, 0, 4}, rows {r0, r1, r2}  ->  ids {4, 0}, rows {r0 + r2, r1}
// in the order of their first appearance. Nothing of size V may be made: a
// std::map from id to its new place will do.
// In the code base: coalesce() in core/gradient.cpp.
#include <map>

#include "core/indices.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

struct Rows {
  std::vector<std::int64_t> ids;        // [n]
  std::vector<std::vector<Real>> rows;  // [n][D]
};

// ---- your part ----
Rows coalesce(const Rows& g) {
  Rows once;
  todo("coalesce must list each id once, with the sum of its rows");
}
// ---- end of your part ----
