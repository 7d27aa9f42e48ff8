// The LSTM over a whole sequence as one op. It computes what lstm_composed() does, in the order that
// suits the machine: few large products, and each thread its part from the first step to the last.
#include <algorithm>
#include <memory>

#include "core/autograd.hpp"
#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/machine/blas.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
#include "layers/recurrent/arguments.hpp"
#include "layers/recurrent/lstm.hpp"

namespace gradwalk {
namespace {

// One value holds all three outputs, [T + 2, N, W]: h_1 ... h_T, h_n, c_n. The op's callers slice
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
  bool full;  // no row ends early

  Steps(const LstmArguments& s, const Lengths& lengths) {
    std::size_t n = s.N;
    for (std::size_t t = 0; t < s.T; ++t) {
      while (!lengths.empty() && n > 0 && lengths[n - 1] <= t) --n;
      rows.push_back(n);
      begin.push_back(total);
      total += n;
    }
    full = std::all_of(lengths.begin(), lengths.end(), [&](std::size_t l) { return l == s.T; });
  }
};

bool runs(std::size_t n, std::size_t t, const LstmArguments& s, const Lengths& lengths) {
  return t < (lengths.empty() ? s.T : lengths[n]);
}

// The op's inputs; what was left out is zeros here.
struct Direction {
  Tensor weight_ih, weight_hh, bias_ih, bias_hh;
};
struct Inputs {
  Tensor x, h_0, c_0;
  std::vector<Direction> directions;
  bool from_zero;  // h_0 was left out: products with it are skipped
  Lengths lengths;

  Tensors tensors() const {
    Tensors all{x, h_0, c_0};
    for (const Direction& d : directions)
      all.insert(all.end(), {d.weight_ih, d.weight_hh, d.bias_ih, d.bias_hh});
    return all;
  }
};

// What the forward pass leaves for the backward pass; P = steps.total.
struct Saved {
  Saved(Steps steps, std::size_t directions)
      : steps(std::move(steps)), xh(directions), gates(directions), c(directions) {}
  Steps steps;
  std::vector<Array> xh;     // of each direction, [P, D + H]: x, and the h of the step before
  std::vector<Array> gates;  // [P, 4H]: i, f, g, o after their nonlinearity
  std::vector<Array> c;      // [P, H]
  bool spent = false;        // the backward pass has written its own into `gates`
};

// The order of one direction's time: the second begins at each row's end.
struct Order {
  std::size_t T, direction;
  std::size_t at(std::size_t step) const { return direction == 0 ? step : T - 1 - step; }
  // Past either end the result is a time at which no row runs.
  std::size_t before(std::size_t t) const { return direction == 0 ? t - 1 : t + 1; }
  std::size_t after(std::size_t t) const { return direction == 0 ? t + 1 : t - 1; }
};

// c of row n before time t
const Real* c_before(const LstmArguments& s, const Inputs& in, const Saved& saved,
                     const Order& order, std::size_t n, std::size_t t) {
  const std::size_t from = order.before(t);
  if (!runs(n, from, s, in.lengths)) return in.c_0.value().data() + n * s.W + order.direction * s.H;
  return saved.c[order.direction].data() + (saved.steps.begin[from] + n) * s.H;
}

// What the gates of a direction are computed from, [P, D + H]: x, and h where there is one yet, which
// is h_0 at a row's first step. Zero where a row has ended: no gradient comes from there.
Array gather_inputs(const LstmArguments& s, const Inputs& in, const Steps& steps,
                    const Order& order) {
  Array xh = empty({steps.total, s.D + s.H});
  const Real *x = in.x.value().data(), *h_0 = in.h_0.value().data() + order.direction * s.H;
  const auto gather = [&](std::size_t t) {
    Real* to = xh.data() + steps.begin[t] * (s.D + s.H);
    for (std::size_t n = 0; n < steps.rows[t]; ++n, to += s.D + s.H) {
      if (!runs(n, t, s, in.lengths)) {
        std::fill_n(to, s.D + s.H, Real(0));
        continue;
      }
      std::copy_n(x + (t * s.N + n) * s.D, s.D, to);
      if (!runs(n, order.before(t), s, in.lengths)) std::copy_n(h_0 + n * s.W, s.H, to + s.D);
    }
  };
  parallel_ranges(s.T, kernels::kGrain / (s.N * s.D + 1), [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) gather(t);
  });
  return xh;
}

// How many threads the products of the time steps are worth.
std::size_t worth(const LstmArguments& s, const Steps& steps) {
  return steps.total * 4 * s.H * s.H / kProductGrain;
}

// What one thread does: a direction of some rows of the batch, from the first step to the last. No
// part needs another.
struct Part {
  Order order;
  std::size_t begin, end;
};

// Each part has about as many steps as the others.
std::vector<Part> make_parts(const LstmArguments& s, const Steps& steps) {
  const std::size_t directions = s.W / s.H;
  const std::size_t ranges =
      std::max<std::size_t>(1, std::min({num_threads() / directions, worth(s, steps), s.N}));
  std::vector<std::size_t> bounds{0};
  std::size_t done = 0;  // steps of the rows so far
  for (std::size_t n = 0, t = s.T; n < s.N; ++n) {
    while (t > 0 && steps.rows[t - 1] <= n) --t;
    done += t;
    if (done * ranges >= steps.total * bounds.size() && bounds.size() < ranges)
      bounds.push_back(n + 1);
  }
  bounds.push_back(s.N);
  std::vector<Part> parts;
  for (std::size_t d = 0; d < directions; ++d) {
    for (std::size_t k = 1; k < bounds.size(); ++k)
      parts.push_back({Order{s.T, d}, bounds[k - 1], bounds[k]});
  }
  return parts;
}

// Calls f(k) for each part k.
template <class F>
void for_each_part(const LstmArguments& s, const Steps& steps, std::size_t parts, const F& f) {
  parallel_ranges(parts, worth(s, steps) > 0 ? 1 : parts, [&](std::size_t begin, std::size_t end) {
    for (std::size_t k = begin; k < end; ++k) f(k);
  });
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

Array forward(const LstmArguments& s, const Inputs& in, Saved& saved) {
  const std::size_t T = s.T, N = s.N, D = s.D, H = s.H, W = s.W;
  const Steps& steps = saved.steps;
  Array y = steps.full ? empty({T + 2, N, W}) : full({T + 2, N, W}, 0);
  std::vector<Array> biases, w_hh;  // w_hh transposed, [H, 4H]: no product must do it at every step
  for (std::size_t k = 0; k < in.directions.size(); ++k) {
    const Direction& d = in.directions[k];
    saved.xh[k] = gather_inputs(s, in, steps, Order{T, k});
    saved.c[k] = empty({steps.total, H});
    // the input's share of all steps is one product: gates[P, 4H] = x . weight_ih^T
    saved.gates[k] = empty({steps.total, 4 * H});
    gemm(matrix(saved.xh[k]).col_range(0, D), matrix(d.weight_ih.value()).T(), 0,
         matrix(saved.gates[k]));
    biases.push_back(d.bias_ih.value());
    kernels::add(4 * H, d.bias_hh.value().data(), biases.back().data());
    w_hh.push_back(empty({H, 4 * H}));
    kernels::transpose(4 * H, H, d.weight_hh.value().data(), w_hh.back().data());
  }
  const std::vector<Part> parts = make_parts(s, steps);
  for_each_part(s, steps, parts.size(), [&](std::size_t k) {
    const auto [order, begin, end] = parts[k];
    const std::size_t column = order.direction * H;
    Real* h_before = saved.xh[order.direction].data() + D;  // [P, H], D + H apart
    for (std::size_t step = 0; step < T; ++step) {
      const std::size_t t = order.at(step);
      if (steps.rows[t] <= begin) continue;
      const std::size_t rows = std::min(end, steps.rows[t]) - begin, at = steps.begin[t] + begin;
      Real* a = saved.gates[order.direction].data() + at * 4 * H;
      Real* c = saved.c[order.direction].data() + at * H;
      if (step > 0 || !in.from_zero)
        gemm(Matrix(h_before + at * (D + H), rows, H, D + H), matrix(w_hh[order.direction]), 1,
             {a, rows, 4 * H});
      for (std::size_t i = 0; i < rows; ++i) {
        const std::size_t n = begin + i, next = order.after(t);
        if (!runs(n, t, s, in.lengths)) continue;
        Real* h = y.data() + (t * N + n) * W + column;
        step_forward(H, a + i * 4 * H, biases[order.direction].data(),
                     c_before(s, in, saved, order, n, t), c + i * H, h);
        if (runs(n, next, s, in.lengths)) {
          std::copy_n(h, H, h_before + (steps.begin[next] + n) * (D + H));
        } else {
          std::copy_n(h, H, y.data() + (T * N + n) * W + column);                // h_n
          std::copy_n(c + i * H, H, y.data() + ((T + 1) * N + n) * W + column);  // c_n
        }
      }
    }
  });
  return y;
}

Gradients backward(const LstmArguments& s, const Inputs& in, Saved& saved, const Array& dy) {
  const std::size_t T = s.T, N = s.N, D = s.D, H = s.H, W = s.W;
  const Steps& steps = saved.steps;
  const std::size_t P = steps.total;
  const Real *dh_n = dy.data() + T * N * W, *dc_n = dh_n + N * W;
  Array dh_0 = full({N, W}, 0), dc_0 = full({N, W}, 0);
  // dL/d(pre-activations) [P, 4H] takes the activations' place: each is read once. Zero where a row
  // has ended.
  std::vector<Array>& da = saved.gates;
  saved.spent = true;
  const std::vector<Part> parts = make_parts(s, steps);
  std::vector<Array> db;  // of each part, [4H]: the sum of its da
  for (std::size_t k = 0; k < parts.size(); ++k) db.push_back(full({4 * H}, 0));
  for_each_part(s, steps, parts.size(), [&](std::size_t k) {
    const auto [order, begin, end] = parts[k];
    const std::size_t column = order.direction * H;
    const Array& w_hh = in.directions[order.direction].weight_hh.value();
    Array dh = full({end - begin, H}, 0), dc = full({end - begin, H}, 0);
    for (std::size_t step = T; step-- > 0;) {
      const std::size_t t = order.at(step);
      if (steps.rows[t] <= begin) continue;
      const std::size_t rows = std::min(end, steps.rows[t]) - begin, at = steps.begin[t] + begin;
      const Real* c = saved.c[order.direction].data() + at * H;
      Real* d = da[order.direction].data() + at * 4 * H;
      for (std::size_t i = 0; i < rows; ++i) {
        const std::size_t n = begin + i;
        Real *d_i = d + i * 4 * H, *dh_i = dh.data() + i * H, *dc_i = dc.data() + i * H;
        if (!runs(n, t, s, in.lengths)) {
          std::fill_n(d_i, 4 * H, Real(0));
          continue;
        }
        if (!runs(n, order.after(t), s, in.lengths)) {  // its last step: h_n and c_n were read here
          std::copy_n(dh_n + n * W + column, H, dh_i);
          std::copy_n(dc_n + n * W + column, H, dc_i);
        }
        kernels::add(H, dy.data() + (t * N + n) * W + column, dh_i);
        step_backward(H, d_i, c_before(s, in, saved, order, n, t), c + i * H, dh_i, dc_i);
        kernels::add(4 * H, d_i, db[k].data());
      }
      // dL/dh of the step before = da . weight_hh
      if (step > 0 || !in.from_zero)
        gemm(Matrix(d, rows, 4 * H), matrix(w_hh), 0, {dh.data(), rows, H});
      for (std::size_t i = 0; i < rows; ++i) {  // what a row's first step passes on
        const std::size_t n = begin + i;
        if (!runs(n, t, s, in.lengths) || runs(n, order.before(t), s, in.lengths)) continue;
        std::copy_n(dh.data() + i * H, H, dh_0.data() + n * W + column);
        std::copy_n(dc.data() + i * H, H, dc_0.data() + n * W + column);
      }
    }
  });
  Gradients grads{std::monostate{}, Tensor(std::move(dh_0)), Tensor(std::move(dc_0))};
  if (in.x.requires_grad()) {  // dL/dx = sum over directions of da . weight_ih
    Array dx = empty({P, D});
    for (std::size_t d = 0; d < da.size(); ++d)
      gemm(matrix(da[d]), matrix(in.directions[d].weight_ih.value()), Real(d > 0), matrix(dx));
    if (steps.full) {
      dx.reshape(Shape{T, N, D});
      grads[0] = Tensor(std::move(dx));
    } else {  // zero where a row has ended
      Array padded = full({T, N, D}, 0);
      for (std::size_t t = 0; t < T; ++t)
        std::copy_n(dx.data() + steps.begin[t] * D, steps.rows[t] * D, padded.data() + t * N * D);
      grads[0] = Tensor(std::move(padded));
    }
  }
  for (std::size_t k = 0; k < da.size(); ++k) {
    // dL/d[weight_ih, weight_hh] = da^T . [x, h of the step before], over all steps
    Array dw = empty({4 * H, D + H}), dw_ih = empty({4 * H, D}), dw_hh = empty({4 * H, H});
    gemm(matrix(da[k]).T(), matrix(saved.xh[k]), 0, matrix(dw));
    for (std::size_t g = 0; g < 4 * H; ++g) {
      const Real* row = dw.data() + g * (D + H);
      std::copy_n(row, D, dw_ih.data() + g * D);
      std::copy_n(row + D, H, dw_hh.data() + g * H);
    }
    Array sum = full({4 * H}, 0);
    for (std::size_t part = 0; part < parts.size(); ++part) {
      if (parts[part].order.direction == k) kernels::add(4 * H, db[part].data(), sum.data());
    }
    grads.push_back(Tensor(std::move(dw_ih)));
    grads.push_back(Tensor(std::move(dw_hh)));
    grads.push_back(Tensor(sum));  // dL/dbias_ih = sum of da = dL/dbias_hh
    grads.push_back(Tensor(std::move(sum)));
  }
  return grads;
}

// dL/dinput as differentiable tensors, through the composed twin. It runs on aliases, so that the
// walk ends at them: what x and the weights have in common further back is not the twin's business.
Gradients differentiate_twin(const Inputs& in, const Tensor& dy) {
  Tensors alias;
  for (const Tensor& t : in.tensors()) alias.push_back(t * 1);
  Directions directions;
  for (std::size_t k = 3; k < alias.size(); k += 4)
    directions.push_back({alias[k], alias[k + 1], alias[k + 2], alias[k + 3], {}});
  const Tensor y = pack(lstm_composed(alias[0], directions, in.lengths, alias[1], alias[2]));
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

LstmOutput lstm(const Tensor& x, const Directions& directions, const Lengths& lengths,
                const Tensor& h_0, const Tensor& c_0) {
  for (const RecurrentParameters& p : directions)
    check(!p.weight_hr.defined(), "lstm: the fused op has no weight_hr; use lstm_composed");
  const LstmArguments s = check_lstm(x, directions, lengths, h_0, c_0);
  const Shape bias{4 * s.H}, state{s.N, s.W};
  Inputs in{x,
            or_zeros("lstm", "h_0", h_0, state),
            or_zeros("lstm", "c_0", c_0, state),
            {},
            !h_0.defined(),
            lengths};
  for (const RecurrentParameters& p : directions) {
    in.directions.push_back({p.weight_ih, p.weight_hh, or_zeros("lstm", "bias_ih", p.bias_ih, bias),
                             or_zeros("lstm", "bias_hh", p.bias_hh, bias)});
  }
  auto saved = std::make_shared<Saved>(Steps(s, lengths), directions.size());
  Array value = forward(s, in, *saved);
  const Tensor packed = record("lstm", in.tensors(), std::move(value),
                               [s, in, saved](const Tensor&, const Tensor& dy) -> Gradients {
                                 if (grad_enabled()) return differentiate_twin(in, dy);
                                 if (saved->spent) forward(s, in, *saved);  // a retained graph
                                 return backward(s, in, *saved, dy.value());
                               });
  return unpack(packed, s.T);
}

}  // namespace gradwalk
