// Recurrent networks made of small ops: the cells, and the one loop over time that runs them.
// The LSTM's cell is in lstm.cpp.
#include "core/ops/recurrent.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace gradwalk {

void check_lengths(const char* op, const Lengths& lengths, std::size_t T, std::size_t N) {
  check(lengths.size() == N, op, ": needs a length for each of ", N, " rows, got ", lengths.size());
  for (std::size_t n = 0; n < lengths.size(); ++n) {
    check(lengths[n] >= 1 && lengths[n] <= T, op, ": length ", lengths[n], " of row ", n,
          " is outside 1..", T);
  }
}

StateSizes check_parameters(const char* op, std::size_t gates, const Tensor& x,
                            const RecurrentParameters& p) {
  const bool projected = p.weight_hr.defined();
  check(p.weight_hh.dim() == 2, op, ": weight_hh must be [", gates, "H, H], got ",
        p.weight_hh.shape());
  if (projected)
    check(p.weight_hr.dim() == 2, op, ": weight_hr must be [R, H], got ", p.weight_hr.shape());
  const std::size_t R = p.weight_hh.shape(1), H = projected ? p.weight_hr.shape(1) : R;
  check(p.weight_hh.shape(0) == gates * H, op, ": weight_hh must be [", gates, "H, H], got ",
        p.weight_hh.shape());
  const Shape hr{R, H}, ih{gates * H, x.shape().back()}, bias{gates * H};
  if (projected)
    check(p.weight_hr.shape() == hr, op, ": weight_hr must be ", hr, ", got ", p.weight_hr.shape());
  check(p.weight_ih.shape() == ih, op, ": weight_ih must be ", ih, " for an input ", x.shape(),
        ", got ", p.weight_ih.shape());
  or_zeros(op, "bias_ih", p.bias_ih, bias);
  or_zeros(op, "bias_hh", p.bias_hh, bias);
  return {H, R};
}

Tensor or_zeros(const char* op, const char* name, const Tensor& t, const Shape& shape) {
  if (!t.defined()) return Tensor(full(shape, 0));
  check(t.shape() == shape, op, ": ", name, " must be ", shape, ", got ", t.shape());
  return t;
}

Tensor checked_h(const char* op, std::size_t gates, const Tensor& x, const Tensor& h,
                 const RecurrentParameters& p) {
  check(x.dim() == 2, op, ": the input must be [N, D], got ", x.shape());
  return or_zeros(op, "h", h, {x.shape(0), check_parameters(op, gates, x, p).R});
}

Tensor rnn_cell(const Tensor& x, const Tensor& h_before, const RecurrentParameters& p,
                Nonlinearity nonlinearity) {
  const Tensor h = checked_h("rnn_cell", 1, x, h_before, p);
  const Tensor a = linear(x, p.weight_ih, p.bias_ih) + linear(h, p.weight_hh, p.bias_hh);
  return nonlinearity == Nonlinearity::kTanh ? tanh(a) : relu(a);
}

Tensor gru_cell(const Tensor& x, const Tensor& h_before, const RecurrentParameters& p) {
  const Tensor h = checked_h("gru_cell", 3, x, h_before, p);
  const Tensors a = split(linear(x, p.weight_ih, p.bias_ih), h.shape(1), 1),
                b = split(linear(h, p.weight_hh, p.bias_hh), h.shape(1), 1);
  const Tensor r = sigmoid(a[0] + b[0]), z = sigmoid(a[1] + b[1]), n = tanh(a[2] + r * b[2]);
  return n + z * (h - n);  // (1 - z) * n + z * h
}

namespace {

Unrolled unroll_forwards(const Cell& cell, const Tensor& x, Tensors state, const Lengths& lengths) {
  const std::size_t T = x.shape(0), N = x.shape(1), D = x.shape(2);
  Tensors outputs;
  for (std::size_t t = 0; t < T; ++t) {
    // The first derivative to arrive, of the last step, is dense; those of the others are one row
    // each, added into it. As slices they would each be as large as x.
    const Tensor step =
        gather_rows(x, Indices{static_cast<std::int64_t>(t)}, {}, /*sparse=*/t + 1 < T);
    const Tensors next = cell(reshape(step, {N, D}), state);
    Array runs = full({N, 1}, 1);
    for (std::size_t n = 0; n < lengths.size(); ++n) runs(n, 0) = Real(t < lengths[n]);
    if (std::all_of(runs.begin(), runs.end(), [](Real r) { return r == 1; })) {
      state = next;
      outputs.push_back(next[0]);
      continue;
    }
    const Tensor mask(std::move(runs));
    for (std::size_t k = 0; k < state.size(); ++k)
      state[k] = where(mask, next[k], state[k]);  // a row that has ended keeps its state
    outputs.push_back(state[0] * mask);
  }
  return {stack(outputs, 0), state};
}

// x [T, N, D], zero from each row's length on: cells run there too, and a NaN would come out in the
// gradients of their weights, though nobody reads what they return.
Tensor without_padding(const Tensor& x, const Lengths& lengths) {
  const std::size_t T = x.shape(0), N = x.shape(1);
  if (std::all_of(lengths.begin(), lengths.end(), [T](std::size_t l) { return l == T; })) return x;
  Array ended = empty({T, N, 1});
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t n = 0; n < N; ++n) ended(t, n, 0) = Real(t >= lengths[n]);
  }
  return masked_fill(x, Tensor(std::move(ended)), 0);
}

}  // namespace

Unrolled unroll(const std::vector<Cell>& cells, const Tensor& padded, const Tensors& state,
                const Lengths& lengths) {
  check(padded.dim() == 3 && padded.shape(0) > 0,
        "unroll: the input must be [T, N, D] with T > 0, got ", padded.shape());
  if (!lengths.empty()) check_lengths("unroll", lengths, padded.shape(0), padded.shape(1));
  check(cells.size() == 1 || cells.size() == 2, "unroll: needs one cell or two, got ",
        cells.size());
  const Tensor x = without_padding(padded, lengths);
  if (cells.size() == 1) return unroll_forwards(cells[0], x, state, lengths);
  Tensors start[2];
  for (const Tensor& s : state) {
    const Tensors halves = s.defined() ? split(s, s.shape(1) / 2, 1) : Tensors(2);
    for (std::size_t d : {0, 1}) start[d].push_back(halves[d]);
  }
  Unrolled y = unroll_forwards(cells[0], x, start[0], lengths);
  const Unrolled back = unroll_forwards(cells[1], reverse_sequences(x, lengths), start[1], lengths);
  y.output = concat({y.output, reverse_sequences(back.output, lengths)}, 2);
  for (std::size_t k = 0; k < state.size(); ++k)
    y.state[k] = concat({y.state[k], back.state[k]}, 1);
  return y;
}

Tensor reverse_sequences(const Tensor& x, const Lengths& lengths) {
  check(x.dim() == 3, "reverse_sequences: the input must be [T, N, D], got ", x.shape());
  const std::size_t T = x.shape(0), N = x.shape(1), D = x.shape(2);
  if (!lengths.empty()) check_lengths("reverse_sequences", lengths, T, N);
  Array y = empty(x.shape());
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t n = 0; n < N; ++n) {
      const std::size_t length = lengths.empty() ? T : lengths[n];
      const std::size_t from = t < length ? length - 1 - t : t;
      std::copy_n(x.value().data() + (from * N + n) * D, D, y.data() + (t * N + n) * D);
    }
  }
  return record("reverse_sequences", {x}, std::move(y),
                [lengths](const Tensor&, const Tensor& dy) -> Gradients {
                  return {reverse_sequences(dy, lengths)};  // dL/dx: each step back to its place
                });
}

}  // namespace gradwalk
