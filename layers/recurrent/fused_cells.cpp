// What the fused lstm, gru and rnn compute of one row at one step, and its derivative. The names
// are those of cells.hpp.
#include "core/machine/kernels.hpp"
#include "layers/recurrent/fused.hpp"
#include "layers/recurrent/gru.hpp"
#include "layers/recurrent/lstm.hpp"
#include "layers/recurrent/rnn.hpp"

namespace gradwalk {
namespace {

// a: i, f, g, o
void lstm_forward(std::size_t H, Real* __restrict a, const Real* __restrict bias, const Real*,
                  const Real* __restrict c_before, Real* __restrict c, Real* __restrict h) {
  Real *i = a, *f = a + H, *g = a + 2 * H, *o = a + 3 * H;
#pragma GCC ivdep
  for (std::size_t j = 0; j < H; ++j) {
    i[j] = kernels::sigmoid1(i[j] + bias[j]);
    f[j] = kernels::sigmoid1(f[j] + bias[j + H]);
    g[j] = kernels::tanh1(g[j] + bias[j + 2 * H]);
    o[j] = kernels::sigmoid1(o[j] + bias[j + 3 * H]);
    c[j] = f[j] * c_before[j] + i[j] * g[j];
    h[j] = o[j] * kernels::tanh1(c[j]);
  }
}

void lstm_backward(std::size_t H, Real* __restrict a, const Real*, const Real* __restrict c_before,
                   const Real* __restrict c, Real* __restrict dh, Real* __restrict dc) {
  Real *i = a, *f = a + H, *g = a + 2 * H, *o = a + 3 * H;
#pragma GCC ivdep
  for (std::size_t j = 0; j < H; ++j) {
    const Real tanh_c = kernels::tanh1(c[j]), ij = i[j], fj = f[j], gj = g[j], oj = o[j];
    const Real d =
        dc[j] + dh[j] * oj * (1 - tanh_c * tanh_c);  // dL/dc through h = o * tanh(c) as well
    i[j] = d * gj * ij * (1 - ij);                   // dL/di through the sigmoid
    f[j] = d * c_before[j] * fj * (1 - fj);          // dL/df
    g[j] = d * ij * (1 - gj * gj);                   // dL/dg
    o[j] = dh[j] * tanh_c * oj * (1 - oj);           // dL/do
    dc[j] = d * fj;
  }
}

// a: n of x, r, z, n of h. The last of them stays as it was before its product with r.
void gru_forward(std::size_t H, Real* __restrict a, const Real* __restrict bias,
                 const Real* __restrict h_before, const Real*, Real*, Real* __restrict h) {
  Real *n = a, *r = a + H, *z = a + 2 * H, *b = a + 3 * H;
#pragma GCC ivdep
  for (std::size_t j = 0; j < H; ++j) {
    r[j] = kernels::sigmoid1(r[j] + bias[j + H]);
    z[j] = kernels::sigmoid1(z[j] + bias[j + 2 * H]);
    b[j] += bias[j + 3 * H];
    n[j] = kernels::tanh1(n[j] + bias[j] + r[j] * b[j]);
    h[j] = n[j] + z[j] * (h_before[j] - n[j]);
  }
}

void gru_backward(std::size_t H, Real* __restrict a, const Real* __restrict h_before, const Real*,
                  const Real*, Real* __restrict dh, Real*) {
  Real *n = a, *r = a + H, *z = a + 2 * H, *b = a + 3 * H;
#pragma GCC ivdep
  for (std::size_t j = 0; j < H; ++j) {
    const Real nj = n[j], rj = r[j], zj = z[j], d = dh[j];
    n[j] = d * (1 - zj) * (1 - nj * nj);            // dL/dn through the tanh
    r[j] = n[j] * b[j] * rj * (1 - rj);             // dL/dr
    z[j] = d * (h_before[j] - nj) * zj * (1 - zj);  // dL/dz
    b[j] = n[j] * rj;
    dh[j] = d * zj;
  }
}

template <Nonlinearity kF>
void rnn_forward(std::size_t H, Real* __restrict a, const Real* __restrict bias, const Real*,
                 const Real*, Real*, Real* __restrict h) {
#pragma GCC ivdep
  for (std::size_t j = 0; j < H; ++j) {
    const Real s = a[j] + bias[j];
    h[j] = a[j] = kF == Nonlinearity::kTanh ? kernels::tanh1(s) : s <= 0 ? 0 : s;
  }
}

template <Nonlinearity kF>
void rnn_backward(std::size_t H, Real* __restrict a, const Real*, const Real*, const Real*,
                  Real* __restrict dh, Real*) {
#pragma GCC ivdep
  for (std::size_t j = 0; j < H; ++j)
    a[j] = kF == Nonlinearity::kTanh ? dh[j] * (1 - a[j] * a[j]) : a[j] > 0 ? dh[j] : 0;
}

// The readable twins, as FusedCell calls them.
Unrolled lstm_twin(const Tensor& x, const Directions& directions, const Lengths& lengths,
                   const Tensors& states) {
  const LstmOutput y = lstm_composed(x, directions, lengths, states[0], states[1]);
  return {y.output, {y.h_n, y.c_n}};
}
Unrolled gru_twin(const Tensor& x, const Directions& directions, const Lengths& lengths,
                  const Tensors& states) {
  return gru_composed(x, directions, lengths, states[0]);
}
template <Nonlinearity kF>
Unrolled rnn_twin(const Tensor& x, const Directions& directions, const Lengths& lengths,
                  const Tensors& states) {
  return rnn_composed(x, directions, lengths, states[0], kF);
}

constexpr FusedCell kLstm{"lstm", 4, 4, false, lstm_forward, lstm_backward, lstm_twin};
constexpr FusedCell kGru{"gru", 3, 4, true, gru_forward, gru_backward, gru_twin};
template <Nonlinearity kF>
constexpr FusedCell kRnn{"rnn", 1, 1, false, rnn_forward<kF>, rnn_backward<kF>, rnn_twin<kF>};

}  // namespace

LstmOutput lstm(const Tensor& x, const Directions& directions, const Lengths& lengths,
                const Tensor& h_0, const Tensor& c_0) {
  const Unrolled y = run_fused(kLstm, x, directions, lengths, {h_0, c_0});
  return {y.output, y.state[0], y.state[1]};
}

Unrolled gru(const Tensor& x, const Directions& directions, const Lengths& lengths,
             const Tensor& h_0) {
  return run_fused(kGru, x, directions, lengths, {h_0});
}

Unrolled rnn(const Tensor& x, const Directions& directions, const Lengths& lengths,
             const Tensor& h_0, Nonlinearity nonlinearity) {
  return run_fused(
      nonlinearity == Nonlinearity::kTanh ? kRnn<Nonlinearity::kTanh> : kRnn<Nonlinearity::kRelu>,
      x, directions, lengths, {h_0});
}

}  // namespace gradwalk
