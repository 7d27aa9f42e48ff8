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
#include "core/threads.hpp"

namespace gradwalk {
namespace {

struct Sizes {
  std::size_t T, N, D, H;
  std::size_t W;  // of all directions' h side by side
};

Sizes check_lstm(const Tensor& x, const Directions& directions, const Lengths& lengths,
                 const Tensor& h_0, const Tensor& c_0) {
  check(x.dim() == 3 && x.shape(0) > 0, "lstm: the input must be [T, N, D] with T > 0, got ",
        x.shape());
  check(directions.size() == 1 || directions.size() == 2, "lstm: has one direction or two, got ",
        directions.size());
  const auto [H, R] = check_parameters("lstm", 4, x, directions[0]);
  const auto [other_H, other_R] = check_parameters("lstm", 4, x, directions.back());
  check(H == other_H && R == other_R, "lstm: both directions must have the same sizes");
  const Sizes s{x.shape(0), x.shape(1), x.shape(2), H, directions.size() * H};
  if (!lengths.empty()) check_lengths("lstm", lengths, s.T, s.N);
  or_zeros("lstm", "h_0", h_0, {s.N, directions.size() * R});
  or_zeros("lstm", "c_0", c_0, {s.N, s.W});
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

LstmOutput lstm_composed(const Tensor& x, const Directions& directions, const Lengths& lengths,
                         const Tensor& h_0, const Tensor& c_0) {
  check_lstm(x, directions, lengths, h_0, c_0);
  std::vector<Cell> cells;
  for (const RecurrentParameters& p : directions)
    cells.push_back([&p](const Tensor& x_t, const Tensors& state) -> Tensors {
      const auto [h, c] = lstm_cell(x_t, {state[0], state[1]}, p);
      return {h, c};
    });
  const auto [output, state] = unroll(cells, x, {h_0, c_0}, lengths);
  return {output, state[0], state[1]};
}

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

  Steps(const Sizes& s, const Lengths& lengths) {
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

bool runs(std::size_t n, std::size_t t, const Sizes& s, const Lengths& lengths) {
  return t < (lengths.empty() ? s.T : lengths[n]);
}

// The rows of x [T, N, D] that steps compute, one step below the other: x itself where no row ends
// early, else a copy in `buffer`, zero where a row has ended.
const Real* gather_steps(const Sizes& s, const Steps& steps, const Lengths& lengths, const Array& x,
                         Array& buffer) {
  if (steps.full) return x.data();
  buffer = full({steps.total, s.D}, 0);
  for (std::size_t t = 0; t < s.T; ++t) {
    for (std::size_t n = 0; n < steps.rows[t]; ++n) {
      if (runs(n, t, s, lengths))
        std::copy_n(x.data() + (t * s.N + n) * s.D, s.D,
                    buffer.data() + (steps.begin[t] + n) * s.D);
    }
  }
  return buffer.data();
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
  Steps steps;
  std::vector<Array> gates;  // of each direction, [P, 4H]: i, f, g, o after their nonlinearity
  std::vector<Array> c;      // [P, H]
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
const Real* c_before(const Sizes& s, const Inputs& in, const Saved& saved, const Order& order,
                     std::size_t n, std::size_t t) {
  const std::size_t from = order.before(t);
  if (!runs(n, from, s, in.lengths)) return in.c_0.value().data() + n * s.W + order.direction * s.H;
  return saved.c[order.direction].data() + (saved.steps.begin[from] + n) * s.H;
}

// Calls f(order, begin, end) for each direction and rows of the batch, in as many threads as there
// are: neither needs the other from the first step to the last. Each part of the rows has about as
// many steps as the others.
template <class F>
void for_directions_and_rows(const Sizes& s, const Steps& steps, const F& f) {
  const std::size_t directions = s.W / s.H, worth = steps.total * 4 * s.H * s.H / kProductGrain + 1;
  const std::size_t parts =
      std::max<std::size_t>(1, std::min({num_threads() / directions, worth, s.N}));
  std::vector<std::size_t> bounds{0};
  std::size_t done = 0;  // steps of the rows so far
  for (std::size_t n = 0, t = s.T; n < s.N; ++n) {
    while (t > 0 && steps.rows[t - 1] <= n) --t;
    done += t;
    if (done * parts >= steps.total * bounds.size() && bounds.size() < parts)
      bounds.push_back(n + 1);
  }
  bounds.push_back(s.N);
  const std::size_t ranges = bounds.size() - 1, all = ranges * directions;
  const auto part = [&](std::size_t k) {
    f(Order{s.T, k / ranges}, bounds[k % ranges], bounds[k % ranges + 1]);
  };
  if (worth > 1) return parallel(all, part);
  for (std::size_t k = 0; k < all; ++k) part(k);
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

Array forward(const Sizes& s, const Inputs& in, Saved& saved) {
  const std::size_t T = s.T, N = s.N, D = s.D, H = s.H, W = s.W;
  const Steps& steps = saved.steps;
  Array y = full({T + 2, N, W}, 0), buffer;
  const Real* x = gather_steps(s, steps, in.lengths, in.x.value(), buffer);
  std::vector<Array> biases;
  for (const Direction& d : in.directions) {
    saved.c.push_back(empty({steps.total, H}));
    // the input's share of all steps is one product: gates[P, 4H] = x . weight_ih^T
    saved.gates.push_back(empty({steps.total, 4 * H}));
    gemm(false, true, steps.total, 4 * H, D, x, D, d.weight_ih.value().data(), D, 0,
         saved.gates.back().data(), 4 * H);
    biases.push_back(d.bias_ih.value());
    kernels::add(4 * H, d.bias_hh.value().data(), biases.back().data());
  }
  for_directions_and_rows(s, steps, [&](Order order, std::size_t begin, std::size_t end) {
    const std::size_t column = order.direction * H;
    const Real* w_hh = in.directions[order.direction].weight_hh.value().data();
    Array h = empty({end - begin, H});  // of the step before
    for (std::size_t n = begin; n < end; ++n)
      std::copy_n(in.h_0.value().data() + n * W + column, H, h.data() + (n - begin) * H);
    for (std::size_t step = 0; step < T; ++step) {
      const std::size_t t = order.at(step);
      if (steps.rows[t] <= begin) continue;
      const std::size_t rows = std::min(end, steps.rows[t]) - begin, at = steps.begin[t] + begin;
      Real* a = saved.gates[order.direction].data() + at * 4 * H;
      Real* c = saved.c[order.direction].data() + at * H;
      if (step > 0 || !in.from_zero)
        gemm(false, true, rows, 4 * H, H, h.data(), H, w_hh, H, 1, a, 4 * H);
      for (std::size_t i = 0; i < rows; ++i) {
        const std::size_t n = begin + i;
        if (!runs(n, t, s, in.lengths)) continue;
        step_forward(H, a + i * 4 * H, biases[order.direction].data(),
                     c_before(s, in, saved, order, n, t), c + i * H, h.data() + i * H);
        std::copy_n(h.data() + i * H, H, y.data() + (t * N + n) * W + column);
        if (runs(n, order.after(t), s, in.lengths)) continue;
        std::copy_n(h.data() + i * H, H, y.data() + (T * N + n) * W + column);  // h_n
        std::copy_n(c + i * H, H, y.data() + ((T + 1) * N + n) * W + column);   // c_n
      }
    }
  });
  return y;
}

// [P, H]: the h that each step of a direction started from
Array gather_before(const Sizes& s, const Inputs& in, const Steps& steps, const Order& order,
                    const Array& y) {
  Array before = empty({steps.total, s.H});
  const std::size_t column = order.direction * s.H;
  for (std::size_t t = 0; t < s.T; ++t) {
    const std::size_t from = order.before(t);
    for (std::size_t n = 0; n < steps.rows[t]; ++n) {
      const Real* h =
          runs(n, from, s, in.lengths) ? y.data() + from * s.N * s.W : in.h_0.value().data();
      std::copy_n(h + n * s.W + column, s.H, before.data() + (steps.begin[t] + n) * s.H);
    }
  }
  return before;
}

Gradients backward(const Sizes& s, const Inputs& in, const Saved& saved, const Array& y,
                   const Array& dy) {
  const std::size_t T = s.T, N = s.N, D = s.D, H = s.H, W = s.W;
  const Steps& steps = saved.steps;
  const std::size_t P = steps.total;
  const Real *dh_n = dy.data() + T * N * W, *dc_n = dh_n + N * W;
  Array dh_0 = full({N, W}, 0), dc_0 = full({N, W}, 0);
  std::vector<Array> da;  // dL/d(pre-activations) [P, 4H], zero where a row has ended
  for (std::size_t d = 0; d < in.directions.size(); ++d) da.push_back(empty({P, 4 * H}));
  for_directions_and_rows(s, steps, [&](Order order, std::size_t begin, std::size_t end) {
    const std::size_t column = order.direction * H;
    const Real* w_hh = in.directions[order.direction].weight_hh.value().data();
    Array dh = full({end - begin, H}, 0), dc = full({end - begin, H}, 0);
    for (std::size_t step = T; step-- > 0;) {
      const std::size_t t = order.at(step);
      if (steps.rows[t] <= begin) continue;
      const std::size_t rows = std::min(end, steps.rows[t]) - begin, at = steps.begin[t] + begin;
      const Real* a = saved.gates[order.direction].data() + at * 4 * H;
      const Real* c = saved.c[order.direction].data() + at * H;
      Real* d = da[order.direction].data() + at * 4 * H;
      for (std::size_t i = 0; i < rows; ++i) {
        const std::size_t n = begin + i;
        Real *dh_i = dh.data() + i * H, *dc_i = dc.data() + i * H;
        if (!runs(n, t, s, in.lengths)) {
          std::fill_n(d + i * 4 * H, 4 * H, Real(0));
          continue;
        }
        if (!runs(n, order.after(t), s, in.lengths)) {  // its last step: h_n and c_n were read here
          std::copy_n(dh_n + n * W + column, H, dh_i);
          std::copy_n(dc_n + n * W + column, H, dc_i);
        }
        kernels::add(H, dy.data() + (t * N + n) * W + column, dh_i);
        step_backward(H, a + i * 4 * H, c_before(s, in, saved, order, n, t), c + i * H, dh_i, dc_i,
                      d + i * 4 * H);
      }
      // dL/dh of the step before = da . weight_hh
      if (step > 0 || !in.from_zero)
        gemm(false, false, rows, H, 4 * H, d, 4 * H, w_hh, H, 0, dh.data(), H);
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
      gemm(false, false, P, D, 4 * H, da[d].data(), 4 * H,
           in.directions[d].weight_ih.value().data(), D, Real(d > 0), dx.data(), D);
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
  Array buffer;
  const Real* x = gather_steps(s, steps, in.lengths, in.x.value(), buffer);
  for (std::size_t k = 0; k < da.size(); ++k) {
    // dL/dweight_ih = da^T . x, dL/dweight_hh = da^T . (h of the step before), over all steps
    Array dw_ih = empty({4 * H, D}), dw_hh = empty({4 * H, H}), db = full({4 * H}, 0);
    gemm(true, false, 4 * H, D, P, da[k].data(), 4 * H, x, D, 0, dw_ih.data(), D);
    const Order order{T, k};
    const Array h = gather_before(s, in, steps, order, y);
    // the first step has nothing before it; in the second direction it stands at the end
    const std::size_t without = in.from_zero ? steps.rows[order.at(0)] : 0,
                      begin = k == 0 ? without : 0;
    gemm(true, false, 4 * H, H, P - without, da[k].data() + begin * 4 * H, 4 * H,
         h.data() + begin * H, H, 0, dw_hh.data(), H);
    kernels::add_column_sums(P, 4 * H, da[k].data(), db.data());
    grads.push_back(Tensor(std::move(dw_ih)));
    grads.push_back(Tensor(std::move(dw_hh)));
    grads.push_back(Tensor(db));  // dL/dbias_ih = sum of da = dL/dbias_hh
    grads.push_back(Tensor(std::move(db)));
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
  const Sizes s = check_lstm(x, directions, lengths, h_0, c_0);
  const Shape bias{4 * s.H}, state{s.N, s.W};
  Inputs in{x,
            or_zeros("lstm", "h_0", h_0, state),
            or_zeros("lstm", "c_0", c_0, state),
            {},
            !h_0.defined(),
            lengths};
  for (const RecurrentParameters& p : directions) {
    check(!p.weight_hr.defined(), "lstm: the fused op has no weight_hr; use lstm_composed");
    in.directions.push_back({p.weight_ih, p.weight_hh, or_zeros("lstm", "bias_ih", p.bias_ih, bias),
                             or_zeros("lstm", "bias_hh", p.bias_hh, bias)});
  }
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
