// hint 1: dy is [N, M] and b is [K, M]. How do they multiply to [N, K]?
// hint 2: a[n, k] takes part in y[n, m] for each m, with the slope b[k, m]. So da[n, k] = sum
//   over m of dy[n, m] * b[k, m].
// hint 3: da = dy . b^T, which is matmul(dy, transpose(b)). db = a^T . dy.
// why: a[n, k] reaches row n of y, each number with its own slope, and the sum over these paths
//   is a product with b^T. The transpose of a linear map is its way back: that is what every rule
//   computes, and a matrix product shows it.
#if ANSWER == 0
Gradients matmul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  return {matmul(dy, transpose(b)), matmul(transpose(a), dy)};
}
#elif ANSWER == 1  // says: b is not transposed
Gradients matmul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  return {matmul(dy, b), matmul(a, dy)};
}
#elif ANSWER == 2  // says: The other way round: da = dy . b^T
Gradients matmul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  return {matmul(transpose(b), dy), matmul(dy, transpose(a))};
}
#elif ANSWER == 3  // says: Transposed: rows and columns are exchanged
Gradients matmul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  return {matmul(b, transpose(dy)), matmul(transpose(dy), a)};
}
#elif ANSWER == 4  // says: exception: mul: shapes
Gradients matmul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  if (a.shape(1) == dy.shape(1)) return {matmul(dy, transpose(b)), matmul(transpose(a), dy)};
  return {dy * a, dy * b};
}
#elif ANSWER == 5  // says: Elementwise: *
Gradients matmul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  return {dy * b, dy * a};
}
#elif ANSWER == 6  // says: Elementwise: *
Gradients matmul_rule(const Tensor& a, const Tensor& b, const Tensor& dy) {
  return {matmul(dy, transpose(b)), transpose(a) * dy};
}
#endif
