// Chapter 6, recurrent networks.
//
// A batch holds N sentences of different lengths; what follows a sentence's end
// is padding, and may be any number, even NaN. At step t = 0, 1, ... a sentence
// that has ended keeps the state it had:
//   h[n, :] = t < lengths[n] ? after[n, :] : before[n, :]      all [N, H]
// where(mask, a, b) chooses a where the mask is not 0, and b elsewhere. A mask
// [N, 1] broadcasts over H. full({N, 1}, 0) makes an array of zeros, and
// Tensor(array) makes a tensor of it.
// In the code base: layers/recurrent/unroll.cpp.
#include "core/ops.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
Tensor keep_ended(const Tensor& after, const Tensor& before,
                  const std::vector<std::size_t>& lengths, std::size_t t) {
  todo("keep_ended must return the next state, or the one before in rows that have ended");
}
// ---- end of your part ----
