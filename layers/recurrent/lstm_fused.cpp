// The LSTM over a whole sequence as one op. It computes what lstm_composed() does, in an order that
// suits the machine: few large products, and each thread its part from the first step to the last.
#include <algorithm>
#include <memory>

#include "core/error.hpp"
#include "core/machine/blas.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
#include "core/multi_output.hpp"
#include "core/twin.hpp"
#include "layers/recurrent/arguments.hpp"
#include "layers/recurrent/lstm.hpp"

namespace gradwalk {
namespace {

// What the op was called with, and where things are. Direction 0 goes through time forwards, and
// direction 1 backwards, from each row's end.
struct Call : LstmArguments {
  bool from_zero;  // h_0 was left out: products with it are skipped
  // At time t the first rows[t] rows are computed, up to the last one that still runs: batches
  // sorted by decreasing length cost no more than their true lengths. Buffers hold them time after
  // time, P rows in all: row n at time t is their row offset[t] + n.
  std::vector<std::size_t> rows{}, offset{};
  std::size_t P = 0;

  std::size_t first(std::size_t d, std::size_t n) const { return d == 0 ? 0 : lengths[n] - 1; }
  std::size_t last(std::size_t d, std::size_t n) const { return d == 0 ? lengths[n] - 1 : 0; }
  // The columns of direction d in a [..., W].
  template <class A>
  auto side(A& a, std::size_t d) const {
    return matrix(a).col_range(d * H, (d + 1) * H);
  }
  Tensors inputs() const {
    Tensors all{x, h_0, c_0};
    for (const RecurrentParameters& p : directions)
      all.insert(all.end(), {p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh});
    return all;
  }
};

// What the forward pass of one direction leaves for the backward pass.
struct Saved {
  Array xh;     // [P, D + H]   x, and the h of the step before
  Array gates;  // [P, 4H]      i, f, g, o after their nonlinearity
  Array c;      // [P, H]
};

// Row n's c before time t.
const Real* c_before(const Call& call, const Saved& saved, std::size_t d, std::size_t n,
                     std::size_t t) {
  if (t == call.first(d, n)) return call.side(call.c_0.value(), d).row(n);
  return matrix(saved.c).row(call.offset[d == 0 ? t - 1 : t + 1] + n);
}

// Saved::xh, in which the loop over time will set each h. Rows that have ended are zero: they are
// part of the products, and what is in the padding may be NaN.
Array gather_inputs(const Call& call, std::size_t d) {
  const std::size_t N = call.N, D = call.D, H = call.H;
  Array xh = empty({call.P, D + H});
  const Matrix x = matrix(call.x.value()), h_0 = call.side(call.h_0.value(), d);
  parallel_ranges(call.T, kernels::kGrain / (N * D + 1), [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      for (std::size_t n = 0; n < call.rows[t]; ++n) {
        Real* to = matrix(xh).row(call.offset[t] + n);
        if (t >= call.lengths[n]) {
          std::fill_n(to, D + H, Real(0));
          continue;
        }
        std::copy_n(x.row(t * N + n), D, to);
        if (t == call.first(d, n)) std::copy_n(h_0.row(n), H, to + D);
      }
    }
  });
  return xh;
}

// What one thread computes: a direction of some rows, through all time. No part needs another.
struct Part {
  std::size_t direction, begin, end;
};

// How many threads the products of the time steps are worth.
std::size_t worth(const Call& call) { return call.P * 4 * call.H * call.H / kProductGrain; }

// Each part has about as many steps as the others.
std::vector<Part> make_parts(const Call& call) {
  const std::size_t directions = call.directions.size();
  const std::size_t ranges =
      std::max<std::size_t>(1, std::min({num_threads() / directions, worth(call), call.N}));
  std::vector<Part> parts;
  for (std::size_t d = 0; d < directions; ++d) {
    std::size_t begin = 0, done = 0;  // done: steps of the rows so far
    for (std::size_t n = 0, range = 1; n < call.N; ++n) {
      done += static_cast<std::size_t>(std::count_if(call.rows.begin(), call.rows.end(),
                                                     [n](std::size_t rows) { return n < rows; }));
      if (n + 1 < call.N && (range == ranges || done * ranges < call.P * range)) continue;
      parts.push_back({d, begin, n + 1});
      begin = n + 1;
      ++range;
    }
  }
  return parts;
}

// Calls f(k) for each part k, in threads if they are worth it.
template <class F>
void for_each_part(const Call& call, const std::vector<Part>& parts, const F& f) {
  if (worth(call) > 0) return parallel(parts.size(), f);
  for (std::size_t k = 0; k < parts.size(); ++k) f(k);
}

// a, for one row and step: pre-activations without their bias [4H] in, activations out; c and h
// from the c before.
void step_forward(std::size_t H, Real* __restrict a, const Real* __restrict bias,
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

// The same step back: activations in a, dL/dh and dL/dc in; dL/d(pre-activations) out, in their
// place, and dL/dc of the step before in dc.
void step_backward(std::size_t H, Real* __restrict a, const Real* __restrict c_before,
                   const Real* __restrict c, const Real* __restrict dh, Real* __restrict dc) {
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

// output, h_n and c_n
std::vector<Array> forward(const Call& call, std::vector<Saved>& saved) {
  const std::size_t T = call.T, N = call.N, D = call.D, H = call.H;
  Array output = empty({T, N, call.W}), h_n = empty({N, call.W}), c_n = empty({N, call.W});
  std::vector<Array> biases, w_hh;  // w_hh transposed, [H, 4H]: no product must do it at every step
  for (const RecurrentParameters& p : call.directions) {
    saved.push_back(
        {gather_inputs(call, saved.size()), empty({call.P, 4 * H}), empty({call.P, H})});
    // the input's share of all steps is one product: gates[P, 4H] = x . weight_ih^T
    gemm(matrix(saved.back().xh).col_range(0, D), matrix(p.weight_ih.value()).T(), 0,
         matrix(saved.back().gates));
    biases.push_back(p.bias_ih.value());
    kernels::add(4 * H, p.bias_hh.value().data(), biases.back().data());
    w_hh.push_back(empty({H, 4 * H}));
    kernels::transpose(4 * H, H, p.weight_hh.value().data(), H, w_hh.back().data(), 4 * H);
  }
  const std::vector<Part> parts = make_parts(call);
  for_each_part(call, parts, [&](std::size_t k) {
    const auto [d, begin, end] = parts[k];
    const MutableMatrix y = call.side(output, d), gates = matrix(saved[d].gates),
                        c = matrix(saved[d].c), h_before = matrix(saved[d].xh).col_range(D, D + H);
    for (std::size_t step = 0; step < T; ++step) {
      const std::size_t t = d == 0 ? step : T - 1 - step, at = call.offset[t];
      const std::size_t running = std::clamp(call.rows[t], begin, end);
      if (step > 0 || !call.from_zero)
        gemm(h_before.row_range(at + begin, at + running), matrix(w_hh[d]), 1,
             gates.row_range(at + begin, at + running));
      for (std::size_t n = begin; n < end; ++n) {
        Real* h = y.row(t * N + n);
        if (t >= call.lengths[n]) {
          std::fill_n(h, H, Real(0));
          continue;
        }
        step_forward(H, gates.row(at + n), biases[d].data(), c_before(call, saved[d], d, n, t),
                     c.row(at + n), h);
        if (t == call.last(d, n)) {
          std::copy_n(h, H, call.side(h_n, d).row(n));
          std::copy_n(c.row(at + n), H, call.side(c_n, d).row(n));
        } else {
          std::copy_n(h, H, h_before.row(call.offset[d == 0 ? t + 1 : t - 1] + n));
        }
      }
    }
  });
  return {std::move(output), std::move(h_n), std::move(c_n)};
}

// dys: dL/doutput, dL/dh_n and dL/dc_n, undefined where the loss does not depend on it.
Gradients backward(const Call& call, std::vector<Saved> saved, const Tensors& dys) {
  const std::size_t T = call.T, N = call.N, D = call.D, H = call.H, P = call.P;
  Array dh_0 = empty({N, call.W}), dc_0 = empty({N, call.W});
  const std::vector<Part> parts = make_parts(call);
  std::vector<Array> db(parts.size(), full({4 * H}, 0));  // of each part: the sum of its da
  for_each_part(call, parts, [&](std::size_t k) {
    const auto [d, begin, end] = parts[k];
    // dL/d(pre-activations) takes the activations' place: each is read once
    const MutableMatrix da = matrix(saved[d].gates);
    Array dh_of_rows = full({end - begin, H}, 0), dc_of_rows = dh_of_rows;
    const MutableMatrix dh = matrix(dh_of_rows), dc = matrix(dc_of_rows);
    const auto add = [&call, d = d](const Tensor& dy, std::size_t row, Real* to) {
      if (dy.defined()) kernels::add(call.H, call.side(dy.value(), d).row(row), to);
    };
    for (std::size_t step = T; step-- > 0;) {
      const std::size_t t = d == 0 ? step : T - 1 - step, at = call.offset[t];
      const std::size_t running = std::clamp(call.rows[t], begin, end);
      for (std::size_t n = begin; n < running; ++n) {
        Real *da_n = da.row(at + n), *dh_n = dh.row(n - begin), *dc_n = dc.row(n - begin);
        if (t >= call.lengths[n]) continue;  // its gates are zero, as its x and h are
        add(dys[0], t * N + n, dh_n);
        if (t == call.last(d, n)) {
          add(dys[1], n, dh_n);
          add(dys[2], n, dc_n);
        }
        step_backward(H, da_n, c_before(call, saved[d], d, n, t), matrix(saved[d].c).row(at + n),
                      dh_n, dc_n);
        kernels::add(4 * H, da_n, db[k].data());
      }
      // dL/dh of the step before = da . weight_hh
      if (step > 0 || !call.from_zero)
        gemm(da.row_range(at + begin, at + running), matrix(call.directions[d].weight_hh.value()),
             0, dh.row_range(0, running - begin));
      for (std::size_t n = begin; n < running; ++n) {
        if (t != call.first(d, n)) continue;
        std::copy_n(dh.row(n - begin), H, call.side(dh_0, d).row(n));
        std::copy_n(dc.row(n - begin), H, call.side(dc_0, d).row(n));
      }
    }
  });
  Gradients grads{std::monostate{}, Tensor(std::move(dh_0)), Tensor(std::move(dc_0))};
  if (call.x.requires_grad()) {  // dL/dx = sum over directions of da . weight_ih
    Array dx = empty({P, D});
    for (std::size_t d = 0; d < saved.size(); ++d)
      gemm(matrix(saved[d].gates), matrix(call.directions[d].weight_ih.value()), Real(d > 0),
           matrix(dx));
    Array padded = full({T, N, D}, 0);
    for (std::size_t t = 0; t < T; ++t)
      std::copy_n(dx.data() + call.offset[t] * D, call.rows[t] * D, padded.data() + t * N * D);
    grads[0] = Tensor(std::move(padded));
  }
  for (std::size_t d = 0; d < saved.size(); ++d) {
    // dL/d[weight_ih, weight_hh] = da^T . [x, h of the step before], over all steps
    Array dw = empty({4 * H, D + H}), sum = full({4 * H}, 0);
    gemm(matrix(saved[d].gates).T(), matrix(saved[d].xh), 0, matrix(dw));
    const Tensor both(std::move(dw));
    grads.push_back(slice(both, 1, 0, D));
    grads.push_back(slice(both, 1, D, D + H));
    for (std::size_t k = 0; k < parts.size(); ++k) {
      if (parts[k].direction == d) kernels::add(4 * H, db[k].data(), sum.data());
    }
    grads.push_back(Tensor(sum));  // dL/dbias_ih = sum of da = dL/dbias_hh
    grads.push_back(Tensor(std::move(sum)));
  }
  return grads;
}

// The same op made of small ones, of inputs as Call has them.
Tensors composed(const Tensors& inputs, const Lengths& lengths) {
  Directions directions;
  for (std::size_t k = 3; k < inputs.size(); k += 4)
    directions.push_back({inputs[k], inputs[k + 1], inputs[k + 2], inputs[k + 3], {}});
  const LstmOutput y = lstm_composed(inputs[0], directions, lengths, inputs[1], inputs[2]);
  return {y.output, y.h_n, y.c_n};
}

}  // namespace

LstmOutput lstm(const Tensor& x, const Directions& directions, const Lengths& lengths,
                const Tensor& h_0, const Tensor& c_0) {
  for (const RecurrentParameters& p : directions)
    check(!p.weight_hr.defined(), "lstm: the fused op has no weight_hr; use lstm_composed");
  Call call{check_lstm(x, directions, lengths, h_0, c_0), !h_0.defined()};
  for (std::size_t t = 0, rows = call.N; t < call.T; ++t) {
    while (rows > 0 && call.lengths[rows - 1] <= t) --rows;
    call.rows.push_back(rows);
    call.offset.push_back(call.P);
    call.P += rows;
  }
  auto saved = std::make_shared<std::vector<Saved>>();
  std::vector<Array> values = forward(call, *saved);
  const Tensors out =
      record_many("lstm", call.inputs(), std::move(values), [call, saved](const Tensors& dys) {
        if (grad_enabled())
          return differentiate_twin(call.inputs(), dys, [&](const Tensors& inputs) {
            return composed(inputs, call.lengths);
          });
        if (saved->empty()) forward(call, *saved);  // a graph that was retained
        return backward(call, std::exchange(*saved, {}), dys);
      });
  return {out[0], out[1], out[2]};
}

}  // namespace gradwalk
