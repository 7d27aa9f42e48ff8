// Chapter 12, attention.
//
// Self-attention lets each word of a sentence look at all the others:
//   scores[n, i, j] = q[n, i, :] . k[n, j, :] / sqrt(D)
//   y[n, i, :]      = sum over j of softmax over j (scores)[n, i, j] * v[n, j, :]
// q, k, v and y [N, T, D] come from N sentences of T words. padding [N, 1, T] is 1
// where word j is padding: there the score must be -1e9, so that softmax gives 0.
// matmul multiplies batches as well, and its last argument transposes b:
//   matmul(a, b, false, true); masked_fill(x, mask, c) puts c where mask is not 0
// The check then trains it on the sentiment program's corpus, in the LSTM's place.
// In the code base: examples/translate/model.cpp.
#include <cmath>

#include "core/ops.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& padding) {
  todo("attention must return a mixture of the rows of v for each row of q");
}
// ---- end of your part ----
