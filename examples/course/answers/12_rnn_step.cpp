// hint 1: It is one line: two products, two sums and tanh.
// hint 2: x [N, D] times w_ih^T [D, H] is [N, H]: matmul(x, transpose(w_ih)).
// hint 3: tanh(matmul(x, transpose(w_ih)) + matmul(h, transpose(w_hh)) + bias).
// why: The same weights are used at every step. So their gradient is the sum over all steps:
//   exercise 04 again, with time as the paths. On its way back a gradient passes w_hh once for
//   each step, which makes it vanish or explode. LSTM cells were made against that.
#if ANSWER == 0
Tensor rnn_step(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& bias) {
  return tanh(matmul(x, transpose(w_ih)) + matmul(h, transpose(w_hh)) + bias);
}
#elif ANSWER == 1  // says: tanh is missing
Tensor rnn_step(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& bias) {
  return matmul(x, transpose(w_ih)) + matmul(h, transpose(w_hh)) + bias;
}
#elif ANSWER == 2  // says: w_hh is not transposed
Tensor rnn_step(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& bias) {
  return tanh(matmul(x, transpose(w_ih)) + matmul(h, w_hh) + bias);
}
#elif ANSWER == 3  // says: The state h is not read
Tensor rnn_step(const Tensor& x, const Tensor&, const Tensor& w_ih, const Tensor&,
                const Tensor& bias) {
  return tanh(matmul(x, transpose(w_ih)) + bias);
}
#elif ANSWER == 4  // says: Values are right, derivatives are not
Tensor rnn_step(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& bias) {
  return tanh(matmul(x, transpose(w_ih)) + matmul(h.detach(), transpose(w_hh)) + bias);
}
#endif
