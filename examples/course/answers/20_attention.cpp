// hint 1: Three lines: the scores, their softmax, and a product with v.
// hint 2: scores = matmul(q, k, false, true) / std::sqrt(Real(q.shape(2))), [N, T, T]. softmax
//   over j is over axis 2.
// hint 3: scores = masked_fill(scores, padding, -1e9); return matmul(softmax(scores, 2), v).
// why: Each word takes what it needs from the others, in one step, however far they are: "not"
//   finds its adjective. Attention alone knows no order; here the positions that are added to the
//   words tell it. Without the division by sqrt(D) scores grow with D, softmax saturates, and its
//   gradient vanishes.
#if ANSWER == 0
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& padding) {
  const Tensor scores = matmul(q, k, false, true) / std::sqrt(static_cast<Real>(q.shape(2)));
  return matmul(softmax(masked_fill(scores, padding, -1e9), 2), v);
}
#elif ANSWER == 1  // says: Scores are not divided by sqrt(D)
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& padding) {
  return matmul(softmax(masked_fill(matmul(q, k, false, true), padding, -1e9), 2), v);
}
#elif ANSWER == 2  // says: Padding is looked at
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor&) {
  const Tensor scores = matmul(q, k, false, true) / std::sqrt(static_cast<Real>(q.shape(2)));
  return matmul(softmax(scores, 2), v);
}
#elif ANSWER == 3  // says: softmax is over i, the second axis
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& padding) {
  const Tensor scores = matmul(q, k, false, true) / std::sqrt(static_cast<Real>(q.shape(2)));
  return matmul(softmax(masked_fill(scores, padding, -1e9), 1), v);
}
#elif ANSWER == 4  // says: softmax is missing
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& padding) {
  const Tensor scores = matmul(q, k, false, true) / std::sqrt(static_cast<Real>(q.shape(2)));
  return matmul(masked_fill(scores, padding, -1e9), v);
}
#endif
