// What no step can do without: its matrix products, and one pass over weights, gradients and
// moments for the optimizer; in the best arrangement, with the BLAS and the threads that ours has.
#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "core/machine/blas.hpp"
#include "core/machine/threads.hpp"
#include "tests/benchmarks/works.hpp"

using namespace gradwalk;

namespace {

// Numbers that products, however many, leave ordinary: neither huge nor subnormal.
struct Buffer : std::vector<Real, Allocator<Real>> {
  explicit Buffer(std::size_t n = 0) : vector(n, Real(1e-4)) {}
};

// Adam's four arrays of `rows` rows, in one pass over those that `touched` lists, or over all.
class Adam {
 public:
  Adam(std::size_t rows, std::size_t width)
      : width_(width), w_(rows * width), m_(w_), v_(w_), g_(w_) {}
  void step() {
    parallel_ranges(w_.size(), 1 << 15, [&](std::size_t begin, std::size_t end) {
      update(end - begin, w_.data() + begin, m_.data() + begin, v_.data() + begin,
             g_.data() + begin);
    });
  }
  void step(const std::vector<std::size_t>& touched) {
    parallel_ranges(touched.size(), 1 << 8, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t at = touched[i] * width_;
        update(width_, w_.data() + at, m_.data() + at, v_.data() + at, g_.data() + i * width_);
      }
    });
  }

 private:
  static void update(std::size_t n, Real* __restrict w, Real* __restrict m, Real* __restrict v,
                     const Real* __restrict g) {
    for (std::size_t i = 0; i < n; ++i) {
      m[i] += Real(0.1) * (g[i] - m[i]);
      v[i] += Real(0.001) * (g[i] * g[i] - v[i]);
      w[i] -= Real(1e-9) * m[i] / (std::sqrt(v[i]) + Real(1e-8));
    }
  }
  std::size_t width_;
  Buffer w_, m_, v_, g_;
};

void sgd(Real* __restrict w, const Real* __restrict g, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) w[i] -= Real(1e-9) * g[i];
}

// The products of one layer, all directions. `rows` says how many rows of the batch run at each
// step; what belongs to step t starts at row begin[t].
struct Layer {
  std::size_t D, H, directions;
  std::vector<Buffer> w, u, dwu;  // of each direction: weight_ih, weight_hh, which forward() takes
                                  // for its transpose, and both gradients
  std::vector<Buffer> a, xh, dh;  // gates; what they are made of, x and h side by side
  Buffer dx;

  Layer(std::size_t in, std::size_t hidden, std::size_t n, std::size_t most_rows)
      : D(in), H(hidden), directions(n), dx(most_rows * D) {
    for (std::size_t d = 0; d < directions; ++d) {
      w.emplace_back(4 * H * D);
      u.emplace_back(4 * H * H);
      dwu.emplace_back(4 * H * (D + H));
      a.emplace_back(most_rows * 4 * H);
      xh.emplace_back(most_rows * (D + H));
      dh.emplace_back(most_rows * H);
    }
  }
};

struct Steps {
  std::vector<std::size_t> rows, begin;
  std::size_t total = 0;
  explicit Steps(const Batch& batch) {
    for (std::size_t t = 0; t < batch.T; ++t) {
      begin.push_back(total);
      rows.push_back(static_cast<std::size_t>(
          std::count_if(batch.lengths.begin(), batch.lengths.end(),
                        [&](std::int64_t length) { return length > std::int64_t(t); })));
      total += rows.back();
    }
  }
};

// Calls f(direction, rows, place of the first) for each step after the first one. A thread takes
// a direction, or some rows of the batch, with about as many steps as the others, through all time.
template <class F>
void through_time(const Layer& layer, const Steps& steps, const F& f) {
  const std::size_t N = steps.rows[0], T = steps.rows.size(),
                    ranges = std::max<std::size_t>(1, num_threads() / layer.directions);
  std::vector<std::size_t> bounds{0};
  for (std::size_t n = 0, done = 0; n < N && bounds.size() < ranges; ++n) {
    for (std::size_t t = 0; t < T && steps.rows[t] > n; ++t) ++done;
    if (done * ranges >= steps.total * bounds.size()) bounds.push_back(n + 1);
  }
  bounds.push_back(N);
  parallel((bounds.size() - 1) * layer.directions, [&](std::size_t part) {
    const std::size_t d = part % layer.directions, range = part / layer.directions;
    for (std::size_t t = 1; t < T && steps.rows[t] > bounds[range]; ++t)
      f(d, std::min(steps.rows[t], bounds[range + 1]) - bounds[range],
        steps.begin[t] + bounds[range]);
  });
}

MutableMatrix view(Buffer& numbers, std::size_t columns) {
  return {numbers.data(), numbers.size() / columns, columns};
}

void forward(Layer& layer, const Steps& steps) {
  const std::size_t D = layer.D, H = layer.H, G = 4 * H, P = steps.total;
  for (std::size_t d = 0; d < layer.directions; ++d) {
    const Matrix x = view(layer.xh[d], D + H).row_range(0, P).col_range(0, D);
    gemm(x, view(layer.w[d], D).T(), 0, view(layer.a[d], G).row_range(0, P));
  }
  through_time(layer, steps, [&](std::size_t d, std::size_t rows, std::size_t at) {
    const Matrix h = view(layer.xh[d], D + H).row_range(at, at + rows).col_range(D, D + H);
    gemm(h, view(layer.u[d], G), 1, view(layer.a[d], G).row_range(at, at + rows));
  });
}

void backward(Layer& layer, const Steps& steps) {
  const std::size_t D = layer.D, H = layer.H, G = 4 * H, P = steps.total;
  through_time(layer, steps, [&](std::size_t d, std::size_t rows, std::size_t at) {
    gemm(view(layer.a[d], G).row_range(at, at + rows), view(layer.u[d], H), 0,
         view(layer.dh[d], H).row_range(at, at + rows));
  });
  for (std::size_t d = 0; d < layer.directions; ++d) {
    const Matrix a = view(layer.a[d], G).row_range(0, P);
    gemm(a, view(layer.w[d], D), Real(d > 0), view(layer.dx, D).row_range(0, P));
    gemm(a.T(), view(layer.xh[d], D + H).row_range(0, P), 0, view(layer.dwu[d], D + H));
  }
}

std::vector<std::size_t> distinct(const std::vector<std::int64_t>& ids) {
  const std::set<std::int64_t> rows(ids.begin(), ids.end());
  return {rows.begin(), rows.end()};
}

}  // namespace

void use_threads(int threads) { set_num_threads(static_cast<std::size_t>(threads)); }

Step classifier(const Work& work) {
  struct Input {
    Steps steps;
    std::vector<std::size_t> touched;
  };
  std::vector<Input> all;
  std::size_t most_rows = 0;
  for (const Batch& batch : make_batches(work)) {
    all.push_back({Steps(batch), distinct(batch.ids)});
    most_rows = std::max(most_rows, all.back().steps.total);
  }
  const std::size_t directions = work.bidirectional ? 2 : 1, out = directions * work.H;
  std::vector<Layer> layers;
  std::size_t weights = 2 * out + 2;
  for (std::size_t k = 0; k < work.layers; ++k) {
    const std::size_t in = k == 0 ? work.D : out;
    layers.emplace_back(in, work.H, directions, most_rows);
    weights += directions * 4 * work.H * (in + work.H + 2);
  }
  return [=, layers = std::move(layers), table = Adam(work.V, work.D), rest = Adam(weights, 1),
          k = std::size_t{0}]() mutable {
    const Input& in = all[k++ % all.size()];
    for (Layer& layer : layers) forward(layer, in.steps);
    for (std::size_t i = layers.size(); i-- > 0;) backward(layers[i], in.steps);
    work.sparse ? table.step(in.touched) : table.step();
    rest.step();
    return 0.0;
  };
}

Step lookup(const Work& work) {
  std::vector<std::vector<std::size_t>> touched;
  for (const Batch& batch : make_batches(work)) touched.push_back(distinct(batch.ids));
  return [=, w = Buffer(work.V * work.D), g = Buffer(work.N * work.T * work.D),
          k = std::size_t{0}]() mutable {
    const std::vector<std::size_t>& rows = touched[k++ % touched.size()];
    for (std::size_t i = 0; i < rows.size(); ++i)
      sgd(w.data() + rows[i] * work.D, g.data() + i * work.D, work.D);
    return 0.0;
  };
}

Step mlp(const Work& work) {
  const std::size_t N = work.N, D = work.D, H = work.H, C = kClasses;
  return [=, x = Buffer(N * D), w = Buffer(H * D), h = Buffer(N * H), u = Buffer(C * H),
          y = Buffer(N * C), dw = Buffer(H * D), du = Buffer(C * H)]() mutable {
    gemm(view(x, D), view(w, D).T(), 0, view(h, H));
    gemm(view(h, H), view(u, H).T(), 0, view(y, C));
    gemm(view(y, C).T(), view(h, H), 0, view(du, H));
    gemm(view(y, C), view(u, H), 0, view(h, H));
    gemm(view(h, H).T(), view(x, D), 0, view(dw, D));
    sgd(w.data(), dw.data(), w.size());
    sgd(u.data(), du.data(), u.size());
    return 0.0;
  };
}

Step chain() {  // nothing but overhead
  return [] { return 0.0; };
}
Step breadth(const Work&) { return chain(); }  // not measured
std::vector<double> breadth_numbers(const Work&) { return {}; }
