#include "layers/recurrent/unroll.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace gradwalk {
namespace {

// The state after a step. The cell may be a user's: what it returns is checked.
Tensors step(const Cell& cell, const Tensor& x, const Tensors& state) {
  Tensors next = cell(x, state);
  check(next.size() == state.size(), "unroll: the cell must return as many states as it is given, ",
        state.size(), ", got ", next.size());
  for (std::size_t k = 0; k < next.size(); ++k) {
    const Tensor &after = next[k], &before = state[k];
    if (after.defined() && after.dim() == 2 && after.shape(0) == x.shape(0) &&
        (!before.defined() || after.shape() == before.shape()))
      continue;
    throw std::invalid_argument(
        message("unroll: the cell must return state ", k, " as ",
                before.defined() ? message(before.shape()) : message("[", x.shape(0), ", H]"),
                ", got ", after.defined() ? message(after.shape()) : "an undefined tensor"));
  }
  return next;
}

Unrolled unroll_forwards(const Cell& cell, const Tensor& x, Tensors state, const Lengths& lengths) {
  const std::size_t T = x.shape(0), N = x.shape(1);
  Tensors outputs;
  for (std::size_t t = 0; t < T; ++t) {
    const Tensors next = step(cell, select(x, 0, t), state);
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
  if (!lengths.empty()) check_lengths("unroll", lengths, padded.shape());
  check(cells.size() == 1 || cells.size() == 2, "unroll: needs one cell or two, got ",
        cells.size());
  check(!state.empty(), "unroll: needs at least one state, got none; it may be undefined");
  for (const Tensor& s : state) {
    if (!s.defined()) continue;
    check(s.dim() == 2 && s.shape(0) == padded.shape(1) && s.shape(1) % cells.size() == 0,
          "unroll: a state must be [", padded.shape(1), cells.size() == 1 ? ", H]" : ", 2 * H]",
          ", got ", s.shape());
  }
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
  if (!lengths.empty()) check_lengths("reverse_sequences", lengths, x.shape());
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
