// Few large products, and each thread its part from the first step to the last.
#include "layers/recurrent/fused.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/error.hpp"
#include "core/machine/blas.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
#include "core/multi_output.hpp"
#include "core/twin.hpp"
#include "layers/recurrent/arguments.hpp"

namespace gradwalk {
namespace {

// w, its rows from `first` on in front of the others.
Tensor rotated(const Tensor& w, std::size_t first) {
  if (first % w.shape(0) == 0) return w;
  const Array& from = w.value();
  Array to = empty(w.shape());
  std::rotate_copy(from.begin(), from.begin() + std::ptrdiff_t(first * from.size() / w.shape(0)),
                   from.end(), to.begin());
  return Tensor(std::move(to));
}

// What the op was called with, and where things are. Direction 0 goes through time forwards, and
// direction 1 backwards, from each row's end.
struct Call : RecurrentArguments {
  FusedCell cell;
  bool from_zero;  // h_0 was left out: products with it are skipped
  // At time t the first rows[t] rows are computed, up to the last one that still runs: batches
  // sorted by decreasing length cost no more than their true lengths. Buffers hold them time after
  // time, P rows in all: row n at time t is their row offset[t] + n.
  std::vector<std::size_t> rows{}, offset{};
  std::size_t P = 0;

  std::size_t first(std::size_t d, std::size_t n) const { return d == 0 ? 0 : lengths[n] - 1; }
  std::size_t last(std::size_t d, std::size_t n) const { return d == 0 ? lengths[n] - 1 : 0; }
  bool has_c() const { return states.size() == 2; }
  // The columns of direction d in a [..., W].
  template <class A>
  auto side(A& a, std::size_t d) const {
    return matrix(a).col_range(d * H, (d + 1) * H);
  }
  // The columns of FusedCell's a that products of x, and of h, go to.
  std::size_t apart() const { return (cell.columns - cell.gates) * H; }
  template <class M>
  M of_x(M m) const {
    return m.col_range(0, cell.gates * H);
  }
  template <class M>
  M of_h(M m) const {
    return m.col_range(apart(), cell.columns * H);
  }
  // weight_ih or bias_ih in the order of these columns, and the way back.
  Tensor to_columns(const Tensor& w) const { return rotated(w, cell.gates * H - apart()); }
  Tensor from_columns(const Tensor& w) const { return rotated(w, apart()); }
  Tensors inputs() const {
    Tensors all{x};
    all.insert(all.end(), states.begin(), states.end());
    for (const RecurrentParameters& p : directions)
      all.insert(all.end(), {p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh});
    return all;
  }
};

// What the forward pass of one direction leaves for the backward pass.
struct Saved {
  Array xh;  // [P, D + H]   x, and the h of the step before
  Array a;   // [P, columns * H]   FusedCell's
  Array c;   // [P, H], of an LSTM
};

// Row n's c before time t, and at it; null where there is none.
const Real* c_before(const Call& call, const Saved& saved, std::size_t d, std::size_t n,
                     std::size_t t) {
  if (!call.has_c()) return nullptr;
  if (t == call.first(d, n)) return call.side(call.states[1].value(), d).row(n);
  return matrix(saved.c).row(call.offset[d == 0 ? t - 1 : t + 1] + n);
}
Real* c_at(const Call& call, Array& c, std::size_t row) {
  return call.has_c() ? matrix(c).row(row) : nullptr;
}

// Saved::xh, in which the loop over time will set each h. Rows that have ended are zero: they are
// part of the products, and what is in the padding may be NaN.
Array gather_inputs(const Call& call, std::size_t d) {
  const std::size_t N = call.N, D = call.D, H = call.H;
  Array xh = empty({call.P, D + H});
  const Matrix x = matrix(call.x.value()), h_0 = call.side(call.states[0].value(), d);
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
std::size_t worth(const Call& call) {
  return call.P * call.cell.gates * call.H * call.H / kProductGrain;
}

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
  const auto part = [&f](std::size_t k) {
    const ManyProducts many;
    f(k);
  };
  if (worth(call) > 0) return parallel(parts.size(), part);
  const FlushSubnormals flush;
  for (std::size_t k = 0; k < parts.size(); ++k) part(k);
}

// The output, and the states at each row's last step.
std::vector<Array> forward(const Call& call, std::vector<Saved>& saved) {
  const std::size_t T = call.T, N = call.N, D = call.D, H = call.H;
  const std::size_t gates = call.cell.gates * H, columns = call.cell.columns * H;
  std::vector<Array> out{empty({T, N, call.W})};
  for (std::size_t k = 0; k < call.states.size(); ++k) out.push_back(empty({N, call.W}));
  std::vector<Array> biases, w_hh;  // w_hh transposed: no product must do it at every step
  for (std::size_t d = 0; d < call.directions.size(); ++d) {
    const RecurrentParameters& p = call.directions[d];
    saved.push_back(
        {gather_inputs(call, d), empty({call.P, columns}), empty({call.has_c() ? call.P : 0, H})});
    Array& a = saved.back().a;
    const Tensor w_ih = call.to_columns(p.weight_ih);
    // the input's share of all steps is one product
    gemm(matrix(saved.back().xh).col_range(0, D), matrix(w_ih.value()).T(), 0,
         call.of_x(matrix(a)));
    for (std::size_t row = 0; row < call.P; ++row)
      std::fill_n(matrix(a).row(row) + gates, columns - gates, Real(0));
    biases.push_back(full({columns}, 0));
    kernels::add(gates, call.to_columns(p.bias_ih).value().data(), biases.back().data());
    kernels::add(gates, p.bias_hh.value().data(), biases.back().data() + call.apart());
    w_hh.push_back(empty({H, gates}));
    kernels::transpose(gates, H, p.weight_hh.value().data(), H, w_hh.back().data(), gates);
  }
  const std::vector<Part> parts = make_parts(call);
  for_each_part(call, parts, [&](std::size_t k) {
    const auto [d, begin, end] = parts[k];
    const MutableMatrix y = call.side(out[0], d), a = matrix(saved[d].a),
                        h_before = matrix(saved[d].xh).col_range(D, D + H);
    for (std::size_t step = 0; step < T; ++step) {
      const std::size_t t = d == 0 ? step : T - 1 - step, at = call.offset[t];
      const std::size_t running = std::clamp(call.rows[t], begin, end);
      if (step > 0 || !call.from_zero)
        gemm(h_before.row_range(at + begin, at + running), matrix(w_hh[d]), 1,
             call.of_h(a.row_range(at + begin, at + running)));
      for (std::size_t n = begin; n < end; ++n) {
        Real* h = y.row(t * N + n);
        if (t >= call.lengths[n]) {
          std::fill_n(h, H, Real(0));
          continue;
        }
        Real* c = c_at(call, saved[d].c, at + n);
        call.cell.forward(H, a.row(at + n), biases[d].data(), h_before.row(at + n),
                          c_before(call, saved[d], d, n, t), c, h);
        if (t == call.last(d, n)) {
          std::copy_n(h, H, call.side(out[1], d).row(n));
          if (call.has_c()) std::copy_n(c, H, call.side(out[2], d).row(n));
        } else {
          std::copy_n(h, H, h_before.row(call.offset[d == 0 ? t + 1 : t - 1] + n));
        }
      }
    }
  });
  return out;
}

// dys: dL/d of what forward() returns, undefined where the loss does not depend on it.
Gradients backward(const Call& call, std::vector<Saved> saved, const Tensors& dys) {
  const std::size_t T = call.T, N = call.N, D = call.D, H = call.H;
  const std::size_t gates = call.cell.gates * H, columns = call.cell.columns * H;
  std::vector<Array> d_start(call.states.size(), empty({N, call.W}));  // dL/dh_0, dL/dc_0
  const std::vector<Part> parts = make_parts(call);
  std::vector<Matrix> w_hh;  // read here: a value that has changed is refused in this thread only
  for (const RecurrentParameters& p : call.directions) w_hh.push_back(matrix(p.weight_hh.value()));
  std::vector<Array> db(parts.size(), full({columns}, 0));  // of each part: the sum of its da
  for_each_part(call, parts, [&](std::size_t k) {
    const auto [d, begin, end] = parts[k];
    // dL/d(pre-activations) takes the place of what the forward pass kept: each is read once
    const MutableMatrix da = matrix(saved[d].a), h_before = matrix(saved[d].xh).col_range(D, D + H);
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
        if (t >= call.lengths[n]) continue;  // its a is zero, as its x and h are
        add(dys[0], t * N + n, dh_n);
        if (t == call.last(d, n)) {
          add(dys[1], n, dh_n);
          if (call.has_c()) add(dys[2], n, dc_n);
        }
        call.cell.backward(H, da_n, h_before.row(at + n), c_before(call, saved[d], d, n, t),
                           c_at(call, saved[d].c, at + n), dh_n, dc_n);
        kernels::add(columns, da_n, db[k].data());
      }
      // dL/dh of the step before = da . weight_hh, and what reaches it past the gates
      if (step > 0 || !call.from_zero)
        gemm(call.of_h(da.row_range(at + begin, at + running)), w_hh[d], Real(call.cell.keeps_h),
             dh.row_range(0, running - begin));
      for (std::size_t n = begin; n < running; ++n) {
        if (t != call.first(d, n)) continue;
        std::copy_n(dh.row(n - begin), H, call.side(d_start[0], d).row(n));
        if (call.has_c()) std::copy_n(dc.row(n - begin), H, call.side(d_start[1], d).row(n));
      }
    }
  });
  Gradients grads{std::monostate{}};
  for (Array& d : d_start) grads.push_back(Tensor(std::move(d)));
  if (call.x.requires_grad()) {  // dL/dx = sum over directions of da . weight_ih
    Array dx = empty({T, N, D});
    for (std::size_t d = 0; d < saved.size(); ++d) {
      const Tensor w_ih = call.to_columns(call.directions[d].weight_ih);
      gemm(call.of_x(matrix(saved[d].a)), matrix(w_ih.value()), Real(d > 0),
           matrix(dx).row_range(0, call.P));
    }
    for (std::size_t t = T; t-- > 0;) {  // each step's rows to their place, from the last on
      const Real* from = dx.data() + call.offset[t] * D;
      Real *to = dx.data() + t * N * D, *end = to + call.rows[t] * D;
      if (from != to) std::copy_backward(from, from + call.rows[t] * D, end);
      std::fill(end, to + N * D, Real(0));
    }
    grads[0] = Tensor(std::move(dx));
  }
  for (std::size_t d = 0; d < saved.size(); ++d) {
    const MutableMatrix da = matrix(saved[d].a), xh = matrix(saved[d].xh);
    Array dw_ih = empty({gates, D}), dw_hh = empty({gates, H});  // da^T . xh, over all steps
    gemm(call.of_x(da).T(), xh.col_range(0, D), 0, matrix(dw_ih));
    gemm(call.of_h(da).T(), xh.col_range(D, D + H), 0, matrix(dw_hh));
    Array sum = full({columns}, 0);
    for (std::size_t k = 0; k < parts.size(); ++k) {
      if (parts[k].direction == d) kernels::add(columns, db[k].data(), sum.data());
    }
    Array db_ih = empty({gates}), db_hh = empty({gates});
    std::copy_n(sum.data(), gates, db_ih.data());
    std::copy_n(sum.data() + call.apart(), gates, db_hh.data());
    grads.push_back(call.from_columns(Tensor(std::move(dw_ih))));
    grads.push_back(Tensor(std::move(dw_hh)));
    grads.push_back(call.from_columns(Tensor(std::move(db_ih))));
    grads.push_back(Tensor(std::move(db_hh)));
  }
  return grads;
}

}  // namespace

Unrolled run_fused(const FusedCell& cell, const Tensor& x, const Directions& directions,
                   const Lengths& lengths, const Tensors& states) {
  Call call{check_recurrent(cell.name, cell.gates, x, directions, lengths, states), cell,
            !states[0].defined()};
  for (std::size_t t = 0, rows = call.N; t < call.T; ++t) {
    while (rows > 0 && call.lengths[rows - 1] <= t) --rows;
    call.rows.push_back(rows);
    call.offset.push_back(call.P);
    call.P += rows;
  }
  for (const RecurrentParameters& p : directions)
    check(!p.weight_hr.defined(), cell.name, ": the fused op has no weight_hr; use ", cell.name,
          "_composed");
  auto saved = std::make_shared<std::vector<Saved>>();
  std::vector<Array> values = forward(call, *saved);
  // The same op made of small ones, of inputs as Call has them.
  const auto composed = [call](const Tensors& inputs) -> Tensors {
    const auto weights = inputs.begin() + 1 + std::ptrdiff_t(call.states.size());
    Directions all;
    for (auto w = weights; w != inputs.end(); w += 4) all.push_back({w[0], w[1], w[2], w[3], {}});
    const Unrolled y =
        call.cell.composed(inputs[0], all, call.lengths, Tensors(inputs.begin() + 1, weights));
    Tensors outputs{y.output};
    outputs.insert(outputs.end(), y.state.begin(), y.state.end());
    return outputs;
  };
  Tensors out = record_many(cell.name, call.inputs(), std::move(values),
                            [call, saved, composed](const Tensors& dys) {
                              if (grad_enabled())
                                return differentiate_twin(call.inputs(), dys, composed);
                              std::vector<Saved> kept = std::exchange(*saved, {});
                              if (kept.empty()) forward(call, kept);  // of a retained graph
                              return backward(call, std::move(kept), dys);
                            });
  return {out[0], Tensors(out.begin() + 1, out.end())};
}

}  // namespace gradwalk
