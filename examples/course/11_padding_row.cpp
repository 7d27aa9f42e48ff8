// Chapter 5, embeddings.
//
// Sentences of one batch are filled up to one length with a padding id. Its row
// in the table must stay as it is, so a lookup's rule leaves it out:
//   ids {7, 0, 3, 0}, padding_idx 0  ->  ids {7, 3}, rows {dy[0], dy[2]}
// The others keep their order, and repeated ones stay (exercise 10 adds them up).
// A row of zeros is not the same as no row: an optimizer would take it for
// touched, and Adam's moments would move it.
// In the code base: gather_checked() in core/ops/lookup.cpp.
#include "core/indices.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

struct Rows {
  std::vector<std::int64_t> ids;        // [n]
  std::vector<std::vector<Real>> rows;  // [n][D]
};

// ---- your part ----
Rows without_padding(const Rows& g, std::int64_t padding_idx) {
  Rows kept;
  todo("without_padding must leave out what belongs to padding_idx");
}
// ---- end of your part ----
