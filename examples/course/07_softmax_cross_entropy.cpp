// Chapter 4, softmax and cross-entropy.
//
// Scores (logits) [N, C] of N examples and C classes, and the right classes [N]:
//   p[n, c]  = e^logits[n, c] / sum over k of e^logits[n, k]
//   loss     = mean over n of -log p[n, targets(n)]
//   dlogits  = (p - q) / N, where q[n, c] is 1 for c = targets(n), else 0
// Scores may be as large as 1000, and e^1000 is infinite. Subtracting the same
// number from a whole row leaves p as it is: take the row's largest. Then a p may
// round to 0, and the loss is about 1000 still: the log of 0 is not.
// In the code base: softmax_cross_entropy() in core/ops/loss.cpp.
#include <algorithm>
#include <cmath>

#include "core/indices.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

struct LossAndSlope {
  Real loss;
  Array dlogits;  // [N, C]
};

// ---- your part ----
LossAndSlope cross_entropy(const Array& logits, const Indices& targets) {
  std::size_t N = logits.shape(0), C = logits.shape(1);
  Array p = empty({N, C});
  todo("cross_entropy must return the mean loss and its gradient");
}
// ---- end of your part ----
