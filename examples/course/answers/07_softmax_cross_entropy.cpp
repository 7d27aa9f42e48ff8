// hint 1: For each row: the largest score, then the sum of e^(score - largest), then p.
// hint 2: The loss of a row is -log p at its target; divide the sum of all rows by N.
// hint 3: When p is done, subtract 1 at p(n, targets(n)), and divide every number by N: that is
//   dlogits. log p(n, t) = logits(n, t) - largest - log(sum) cannot become -infinity.
// why: The rules of log and softmax alone are long; together nearly everything cancels, and p -
//   q is left: what the model says minus what is right. It is 0 when the model is right and sure,
//   and it is never larger than 1, whatever the scores.
#if ANSWER == 0
LossAndSlope cross_entropy(const Array& logits, const Indices& targets) {
  std::size_t N = logits.shape(0), C = logits.shape(1);
  Array p = empty({N, C});
  Real loss = 0;
  for (std::size_t n = 0; n < N; ++n) {
    const Real *row = &logits(n, 0), most = *std::max_element(row, row + C);
    Real sum = 0;
    for (std::size_t c = 0; c < C; ++c) sum += std::exp(row[c] - most);
    for (std::size_t c = 0; c < C; ++c) p(n, c) = std::exp(row[c] - most) / sum / N;
    loss -= (row[targets(n)] - most - std::log(sum)) / N;
    p(n, targets(n)) -= Real(1) / N;
  }
  return {loss, p};
}
#elif ANSWER == 1  // says: The sum over the examples; the mean is asked for
LossAndSlope cross_entropy(const Array& logits, const Indices& targets) {
  std::size_t N = logits.shape(0), C = logits.shape(1);
  Array p = empty({N, C});
  Real loss = 0;
  for (std::size_t n = 0; n < N; ++n) {
    Real sum = 0;
    for (std::size_t c = 0; c < C; ++c) sum += std::exp(logits(n, c));
    for (std::size_t c = 0; c < C; ++c) p(n, c) = std::exp(logits(n, c)) / sum;
    loss -= std::log(p(n, targets(n)));
    p(n, targets(n)) -= 1;
  }
  return {loss, p};
}
#elif ANSWER == 2  // says: subtract the row's largest score first
LossAndSlope cross_entropy(const Array& logits, const Indices& targets) {
  std::size_t N = logits.shape(0), C = logits.shape(1);
  Array p = empty({N, C});
  Real loss = 0;
  for (std::size_t n = 0; n < N; ++n) {
    Real sum = 0;
    for (std::size_t c = 0; c < C; ++c) sum += std::exp(logits(n, c));
    for (std::size_t c = 0; c < C; ++c) p(n, c) = std::exp(logits(n, c)) / sum / N;
    loss -= std::log(p(n, targets(n)) * N) / N;
    p(n, targets(n)) -= Real(1) / N;
  }
  return {loss, p};
}
#elif ANSWER == 3  // says: 1 is not subtracted at the target
LossAndSlope cross_entropy(const Array& logits, const Indices& targets) {
  std::size_t N = logits.shape(0), C = logits.shape(1);
  Array p = empty({N, C});
  Real loss = 0;
  for (std::size_t n = 0; n < N; ++n) {
    Real sum = 0;
    for (std::size_t c = 0; c < C; ++c) sum += std::exp(logits(n, c));
    for (std::size_t c = 0; c < C; ++c) p(n, c) = std::exp(logits(n, c)) / sum / N;
    loss -= std::log(p(n, targets(n)) * N) / N;
  }
  return {loss, p};
}
#elif ANSWER == 4  // says: it is not divided by N, but the loss is
LossAndSlope cross_entropy(const Array& logits, const Indices& targets) {
  std::size_t N = logits.shape(0), C = logits.shape(1);
  Array p = empty({N, C});
  Real loss = 0;
  for (std::size_t n = 0; n < N; ++n) {
    Real sum = 0;
    for (std::size_t c = 0; c < C; ++c) sum += std::exp(logits(n, c));
    for (std::size_t c = 0; c < C; ++c) p(n, c) = std::exp(logits(n, c)) / sum;
    loss -= std::log(p(n, targets(n))) / N;
    p(n, targets(n)) -= 1;
  }
  return {loss, p};
}
#elif ANSWER == 5  // says: p of the right class has become 0
LossAndSlope cross_entropy(const Array& logits, const Indices& targets) {
  std::size_t N = logits.shape(0), C = logits.shape(1);
  Array p = empty({N, C});
  Real loss = 0;
  for (std::size_t n = 0; n < N; ++n) {
    const Real *row = &logits(n, 0), most = *std::max_element(row, row + C);
    Real sum = 0;
    for (std::size_t c = 0; c < C; ++c) sum += std::exp(row[c] - most);
    for (std::size_t c = 0; c < C; ++c) p(n, c) = std::exp(row[c] - most) / sum;
    loss -= std::log(p(n, targets(n))) / N;
    p(n, targets(n)) -= 1;
    for (std::size_t c = 0; c < C; ++c) p(n, c) /= N;
  }
  return {loss, p};
}
#endif
