// The LSTM over a whole sequence: first the readable twin, then the fused op that computes the same
// thing faster.
#include <algorithm>
#include <memory>

#include "core/autograd.hpp"
#include "core/blas.hpp"
#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/kernels.hpp"
#include "core/ops/recurrent.hpp"

namespace gradwalk {
namespace {

struct Sizes {
  std::size_t T, N, D, H;
};

Sizes check_lstm(const Tensor& x, const RecurrentParameters& p, const Lengths& lengths,
                 const Tensor& h_0, const Tensor& c_0) {
  check(x.dim() == 3 && x.shape(0) > 0, "lstm: the input must be [T, N, D] with T > 0, got ",
        x.shape());
  const auto [H, R] = check_parameters("lstm", 4, x, p);
  const Sizes s{x.shape(0), x.shape(1), x.shape(2), H};
  if (!lengths.empty()) check_lengths("lstm", lengths, s.T, s.N);
  or_zeros("lstm", "h_0", h_0, {s.N, R});
  or_zeros("lstm", "c_0", c_0, {s.N, H});
  return s;
}

}  // namespace

LstmState lstm_cell(const Tensor& x, const LstmState& before, const RecurrentParameters& p) {
  const Tensor h = checked_h("lstm_cell", 4, x, before.h, p);
  const std::size_t H = p.weight_hh.shape(0) / 4;
  const Tensor c_before = or_zeros("lstm_cell", "c", before.c, {x.shape(0), H});
  const Tensors a =
      split(linear(x, p.weight_ih, p.bias_ih) + linear(h, p.weight_hh, p.bias_hh), H, 1);
  const Tensor i = sigmoid(a[0]), f = sigmoid(a[1]), g = tanh(a[2]), o = sigmoid(a[3]);
  const Tensor c = f * c_before + i * g, h_after = o * tanh(c);
  return {p.weight_hr.defined() ? linear(h_after, p.weight_hr, {}) : h_after, c};
}

LstmOutput lstm_composed(const Tensor& x, const RecurrentParameters& p, const Lengths& lengths,
                         const Tensor& h_0, const Tensor& c_0) {
  check_lstm(x, p, lengths, h_0, c_0);
  const auto cell = [&p](const Tensor& x_t, const Tensors& state) -> Tensors {
    const auto [h, c] = lstm_cell(x_t, {state[0], state[1]}, p);
    return {h, c};
  };
  const auto [output, state] = unroll(cell, x, {h_0, c_0}, lengths);
  return {output, state[0], state[1]};
}

namespace {

// One value holds all three outputs, [T + 2, N, H]: h_1 ... h_T, h_n, c_n. The op's callers slice
// it.
Tensor pack(const LstmOutput& out) {
  const Shape one{1, out.h_n.shape(0), out.h_n.shape(1)};
  return concat({out.output, reshape(out.h_n, one), reshape(out.c_n, one)}, 0);
}

LstmOutput unpack(const Tensor& packed, std::size_t T) {
  const Shape state{packed.shape(1), packed.shape(2)};
  return {slice(packed, 0, 0, T), reshape(slice(packed, 0, T, T + 1), state),
          reshape(slice(packed, 0, T + 1, T + 2), state)};
}

// Which rows are computed at each step: those up to the last one that still runs, so that batches
// sorted by decreasing length do only the work of their true lengths. What belongs to step t starts
// at row begin[t] of a buffer of `total` rows.
struct Steps {
  std::vector<std::size_t> rows, begin;
  std::size_t total = 0;

  Steps(const Sizes& s, const Lengths& lengths) {
    std::size_t n = s.N;
    for (std::size_t t = 0; t < s.T; ++t) {
      while (!lengths.empty() && n > 0 && lengths[n - 1] <= t) --n;
      rows.push_back(n);
      begin.push_back(total);
      total += n;
    }
  }
};

// Rows of a [T, N, width] array that steps compute, one step below the other. `shift` pairs step t
// with the array's t - shift.
std::vector<Real> gather_steps(const Steps& steps, std::size_t N, std::size_t width, const Real* x,
                               std::size_t shift) {
  std::vector<Real> packed;
  packed.reserve(steps.total * width);
  for (std::size_t t = shift; t < steps.rows.size(); ++t) {
    const Real* from = x + (t - shift) * N * width;
    packed.insert(packed.end(), from, from + steps.rows[t] * width);
  }
  return packed;
}

// The op's inputs; what was left out is zeros here.
struct Inputs {
  Tensor x, weight_ih, weight_hh, bias_ih, bias_hh, h_0, c_0;
  bool from_zero;  // h_0 was left out: products with it are skipped
  Lengths lengths;

  Tensors tensors() const { return {x, weight_ih, weight_hh, bias_ih, bias_hh, h_0, c_0}; }
};

// What the forward pass leaves for the backward pass; P = steps.total.
struct Saved {
  Steps steps;
  Array gates;  // [P, 4H]  i, f, g, o after their nonlinearity
  Array c;      // [P, H]
};

// a, for one row and step: pre-activations [4H] in, activations out; c and h from the c before.
void step_forward(std::size_t H, Real* __restrict a, const Real* __restrict c_before,
                  Real* __restrict c, Real* __restrict h) {
  Real *i = a, *f = a + H, *g = a + 2 * H, *o = a + 3 * H;
#pragma GCC ivdep
  for (std::size_t j = 0; j < H; ++j) {
    i[j] = kernels::sigmoid1(i[j]);
    f[j] = kernels::sigmoid1(f[j]);
    g[j] = kernels::tanh1(g[j]);
    o[j] = kernels::sigmoid1(o[j]);
    c[j] = f[j] * c_before[j] + i[j] * g[j];
    h[j] = o[j] * kernels::tanh1(c[j]);
  }
}

// The same step back: activations in a, dL/dh and dL/dc in; dL/d(pre-activations) out in da, dL/dc
// of the step before in dc.
void step_backward(std::size_t H, const Real* __restrict a, const Real* __restrict c_before,
                   const Real* __restrict c, const Real* __restrict dh, Real* __restrict dc,
                   Real* __restrict da) {
  const Real *i = a, *f = a + H, *g = a + 2 * H, *o = a + 3 * H;
#pragma GCC ivdep
  for (std::size_t j = 0; j < H; ++j) {
    const Real tanh_c = kernels::tanh1(c[j]);
    const Real d =
        dc[j] + dh[j] * o[j] * (1 - tanh_c * tanh_c);    // dL/dc through h = o * tanh(c) as well
    da[j] = d * g[j] * i[j] * (1 - i[j]);                // dL/di through the sigmoid
    da[j + H] = d * c_before[j] * f[j] * (1 - f[j]);     // dL/df
    da[j + 2 * H] = d * i[j] * (1 - g[j] * g[j]);        // dL/dg
    da[j + 3 * H] = dh[j] * tanh_c * o[j] * (1 - o[j]);  // dL/do
    dc[j] = d * f[j];
  }
}

bool runs(std::size_t n, std::size_t t, const Sizes& s, const Lengths& lengths) {
  return t < (lengths.empty() ? s.T : lengths[n]);
}

Array forward(const Sizes& s, const Inputs& in, Saved& saved) {
  const auto [T, N, D, H] = s;
  const Steps& steps = saved.steps;
  Array y = full({T + 2, N, H}, 0);
  saved.gates = empty({steps.total, 4 * H});
  saved.c = empty({steps.total, H});
  Array bias = in.bias_ih.value();
  kernels::add(4 * H, in.bias_hh.value().data(), bias.data());
  kernels::repeat_row(steps.total, 4 * H, bias.data(), saved.gates.data());
  // the input's share of all steps is one product: gates[P, 4H] = x . weight_ih^T + biases
  const std::vector<Real> inputs = gather_steps(steps, N, D, in.x.value().data(), 0);
  gemm(false, true, steps.total, 4 * H, D, inputs.data(), D, in.weight_ih.value().data(), D, 1,
       saved.gates.data(), 4 * H);
  for (std::size_t t = 0; t < T; ++t) {
    const std::size_t rows = steps.rows[t];
    Real* gates = saved.gates.data() + steps.begin[t] * 4 * H;
    Real* h = y.data() + t * N * H;
    const Real* h_before = t == 0 ? in.h_0.value().data() : h - N * H;
    if (t > 0 || !in.from_zero)
      gemm(false, true, rows, 4 * H, H, h_before, H, in.weight_hh.value().data(), H, 1, gates,
           4 * H);
    Real* c = saved.c.data() + steps.begin[t] * H;
    const Real* c_before = t == 0 ? in.c_0.value().data() : saved.c.data() + steps.begin[t - 1] * H;
    for (std::size_t n = 0; n < rows; ++n) {
      if (!runs(n, t, s, in.lengths)) continue;
      step_forward(H, gates + n * 4 * H, c_before + n * H, c + n * H, h + n * H);
      if (runs(n, t + 1, s, in.lengths)) continue;
      std::copy_n(h + n * H, H, y.data() + (T * N + n) * H);        // h_n
      std::copy_n(c + n * H, H, y.data() + ((T + 1) * N + n) * H);  // c_n
    }
  }
  return y;
}

Gradients backward(const Sizes& s, const Inputs& in, const Saved& saved, const Array& y,
                   const Array& dy) {
  const auto [T, N, D, H] = s;
  const Steps& steps = saved.steps;
  const std::size_t P = steps.total;
  const Real *dh_n = dy.data() + T * N * H, *dc_n = dh_n + N * H;
  Array da = empty({P, 4 * H});  // dL/d(pre-activations), zero where a row has ended
  Array dh = full({N, H}, 0), dc = full({N, H}, 0);
  for (std::size_t t = T; t-- > 0;) {
    const std::size_t rows = steps.rows[t];
    const Real* gates = saved.gates.data() + steps.begin[t] * 4 * H;
    const Real* c = saved.c.data() + steps.begin[t] * H;
    const Real* c_before = t == 0 ? in.c_0.value().data() : saved.c.data() + steps.begin[t - 1] * H;
    Real* d = da.data() + steps.begin[t] * 4 * H;
    for (std::size_t n = 0; n < rows; ++n) {
      if (!runs(n, t, s, in.lengths)) {
        std::fill_n(d + n * 4 * H, 4 * H, Real(0));
        continue;
      }
      if (!runs(n, t + 1, s, in.lengths)) {  // its last step: h_n and c_n were read here
        std::copy_n(dh_n + n * H, H, dh.data() + n * H);
        std::copy_n(dc_n + n * H, H, dc.data() + n * H);
      }
      kernels::add(H, dy.data() + (t * N + n) * H, dh.data() + n * H);
      step_backward(H, gates + n * 4 * H, c_before + n * H, c + n * H, dh.data() + n * H,
                    dc.data() + n * H, d + n * 4 * H);
    }
    // dL/dh of the step before = da . weight_hh
    if (t > 0 || !in.from_zero)
      gemm(false, false, rows, H, 4 * H, d, 4 * H, in.weight_hh.value().data(), H, 0, dh.data(), H);
  }
  Gradients grads(7);
  if (in.x.requires_grad()) {  // dL/dx = da . weight_ih, zero where a row has ended
    Array dx = full({T, N, D}, 0), packed = empty({P, D});
    gemm(false, false, P, D, 4 * H, da.data(), 4 * H, in.weight_ih.value().data(), D, 0,
         packed.data(), D);
    for (std::size_t t = 0; t < T; ++t) {
      std::copy_n(packed.data() + steps.begin[t] * D, steps.rows[t] * D, dx.data() + t * N * D);
    }
    grads[0] = Tensor(std::move(dx));
  }
  // dL/dweight_ih = da^T . x, dL/dweight_hh = da^T . (h of the step before), over all steps at once
  Array dw_ih = full({4 * H, D}, 0), dw_hh = full({4 * H, H}, 0), db = full({4 * H}, 0);
  const std::vector<Real> inputs = gather_steps(steps, N, D, in.x.value().data(), 0),
                          h_before = gather_steps(steps, N, H, y.data(), 1);
  gemm(true, false, 4 * H, D, P, da.data(), 4 * H, inputs.data(), D, 0, dw_ih.data(), D);
  gemm(true, false, 4 * H, H, P - steps.rows[0], da.data() + steps.rows[0] * 4 * H, 4 * H,
       h_before.data(), H, 0, dw_hh.data(), H);
  if (!in.from_zero)
    gemm(true, false, 4 * H, H, N, da.data(), 4 * H, in.h_0.value().data(), H, 1, dw_hh.data(), H);
  kernels::add_column_sums(P, 4 * H, da.data(), db.data());
  grads[1] = Tensor(std::move(dw_ih));
  grads[2] = Tensor(std::move(dw_hh));
  grads[3] = Tensor(db);  // dL/dbias_ih = sum of da = dL/dbias_hh
  grads[4] = Tensor(std::move(db));
  // what the first step passed on: dL/dh_0 and dL/dc_0
  grads[5] = Tensor(std::move(dh));
  grads[6] = Tensor(std::move(dc));
  return grads;
}

// dL/dinput as differentiable tensors, through the composed twin. It runs on aliases, so that the
// walk ends at them: what x and the weights have in common further back is not the twin's business.
Gradients differentiate_twin(const Inputs& in, const Tensor& dy) {
  Tensors alias;
  for (const Tensor& t : in.tensors()) alias.push_back(t * 1);
  const Tensor y = pack(lstm_composed(alias[0], {alias[1], alias[2], alias[3], alias[4], {}},
                                      in.lengths, alias[5], alias[6]));
  Tensors wanted;
  for (const Tensor& t : alias) {
    if (t.requires_grad()) wanted.push_back(t);
  }
  const Gradients found = gradients(sum(y * dy), wanted, true);
  Gradients grads(alias.size());
  for (std::size_t i = 0, k = 0; i < alias.size(); ++i) {
    if (alias[i].requires_grad()) grads[i] = found[k++];
  }
  return grads;
}

}  // namespace

LstmOutput lstm(const Tensor& x, const RecurrentParameters& p, const Lengths& lengths,
                const Tensor& h_0, const Tensor& c_0) {
  const Sizes s = check_lstm(x, p, lengths, h_0, c_0);
  check(!p.weight_hr.defined(), "lstm: the fused op has no weight_hr; use lstm_composed");
  const Shape bias{4 * s.H}, state{s.N, s.H};
  const Inputs in{x,
                  p.weight_ih,
                  p.weight_hh,
                  or_zeros("lstm", "bias_ih", p.bias_ih, bias),
                  or_zeros("lstm", "bias_hh", p.bias_hh, bias),
                  or_zeros("lstm", "h_0", h_0, state),
                  or_zeros("lstm", "c_0", c_0, state),
                  !h_0.defined(),
                  lengths};
  auto saved = std::make_shared<Saved>(Saved{Steps(s, lengths), {}, {}});
  Array value = forward(s, in, *saved);
  const Tensor packed = record("lstm", in.tensors(), std::move(value),
                               [s, in, saved](const Tensor& y, const Tensor& dy) -> Gradients {
                                 if (grad_enabled()) return differentiate_twin(in, dy);
                                 return backward(s, in, *saved, y.value(), dy.value());
                               });
  return unpack(packed, s.T);
}

}  // namespace gradwalk
