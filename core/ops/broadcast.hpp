// How two shapes broadcast, and the walks over a broadcast shape that add, where, broadcast_to,
// permute and the reductions share. Both are split over threads, and give the same bits with any
// number of them.
// https://pytorch.org/docs/stable/notes/broadcasting.html
#pragma once

#include "core/array.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"

namespace gradwalk {

// The shape that a and b broadcast to. Throws std::invalid_argument naming the op and both.
Shape broadcast_shape(const char* op, const Shape& a, const Shape& b);

// For each axis of `wide`, how far to move in an array of shape `narrow`: 0 where it repeats.
Shape strides_in(const Shape& narrow, const Shape& wide);

// The place of element `at`, in row-major order, as one index for each axis.
Shape index_of(std::size_t at, const Shape& shape);

// How to walk over a shape, in row-major order, and what that means in two arrays: their strides.
struct Walk {
  Shape shape, a, b;
};
// The same with one axis at least, and fewer, longer ones: two neighbours that both arrays walk
// through as one have become one.
Walk merged(const Walk& w);

// n elements along the last axis, from the element `at` on. In the two arrays they are
// a[ia + k * step_a] and b[ib + k * step_b].
struct Run {
  std::size_t at, n, ia, step_a, ib, step_b;
};

// Calls f(run) for the elements begin ... end - 1.
template <class F>
void for_each_run(const Walk& w, std::size_t begin, std::size_t end, const F& f) {
  if (begin >= end) return;
  const std::size_t last = w.shape.size() - 1, n = w.shape[last];
  const std::size_t row_a = last == 0 ? 0 : w.a[last - 1], row_b = last == 0 ? 0 : w.b[last - 1];
  Shape index = index_of(begin, w.shape);
  Run r{begin, 0, 0, w.a[last], 0, w.b[last]};
  for (std::size_t i = 0; i <= last; ++i) {
    r.ia += index[i] * w.a[i];
    r.ib += index[i] * w.b[i];
  }
  while (r.at < end) {
    r.n = std::min(n - index[last], end - r.at);
    f(r);
    if (r.n == n && last > 0) {  // short rows cost less without the odometer
      for (std::size_t rows = std::min(w.shape[last - 1] - index[last - 1], (end - r.at) / n);
           rows > 1; --rows) {
        r.at += n;
        r.ia += row_a;
        r.ib += row_b;
        ++index[last - 1];
        f(r);
      }
    }
    r.at += r.n;
    r.ia += r.n * r.step_a;
    r.ib += r.n * r.step_b;
    index[last] += r.n;
    for (std::size_t i = last; i > 0 && index[i] == w.shape[i]; --i) {  // the odometer
      r.ia += w.a[i - 1] - index[i] * w.a[i];
      r.ib += w.b[i - 1] - index[i] * w.b[i];
      index[i] = 0;
      ++index[i - 1];
    }
  }
}

// Calls f(run) for all elements, in no particular order: f writes only to the run's own places.
template <class F>
void for_each_run(const Walk& walk, const F& f) {
  const Walk w = merged(walk);
  parallel_ranges(size_of(w.shape), kernels::kGrain,
                  [&](std::size_t begin, std::size_t end) { for_each_run(w, begin, end, f); });
}

// The same for a reduction, where a is the result: its strides are 0 along the axes that go. Each
// of its elements is met by one thread, in row-major order.
template <class F>
void for_each_run_into(const Walk& walk, const F& f) {
  const Walk w = merged(walk);
  // To be split: the first axis that stays and is long enough to share, so that a thread reads what
  // lies together; else the longest.
  const std::size_t enough = 4 * num_threads();
  std::size_t axis = 0;
  for (std::size_t i = 0; i < w.shape.size(); ++i) {
    if (w.a[i] == 0) continue;
    if (w.a[axis] == 0 || (w.shape[axis] < enough && w.shape[i] > w.shape[axis])) axis = i;
  }
  const std::size_t n = w.shape[axis], total = size_of(w.shape);
  if (w.a[axis] == 0 || total == 0) return for_each_run(w, 0, total, f);
  parallel_ranges(n, kernels::kGrain * n / total + 1, [&](std::size_t begin, std::size_t end) {
    Walk part = w;
    part.shape[axis] = end - begin;
    for_each_run(part, 0, size_of(part.shape), [&](Run r) {
      r.ia += begin * w.a[axis];
      r.ib += begin * w.b[axis];
      f(r);
    });
  });
}

// The same for sums: f(run, to) adds to `to`, the run's place in y or in a sum of its own. Rows
// that all become one are dealt in blocks, of a size that does not depend on the threads: split by
// columns, half of each row would come from the core that has not written it.
template <class F>
void for_each_run_summed(const Walk& walk, Real* y, const F& f) {
  const Walk w = merged(walk);
  const std::size_t rows = w.shape[0], n = w.shape.back(), block = kernels::kGrain / (n + 1) + 1;
  if (w.shape.size() != 2 || w.a[0] != 0 || w.a[1] != 1 || block < 16 || rows <= block)
    return for_each_run_into(w, [&](const Run& r) { f(r, y + r.ia); });
  const std::size_t blocks = (rows + block - 1) / block;
  Array sums = full({blocks, n}, 0);
  parallel_ranges(blocks, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end; ++b)
      for_each_run(w, b * block * n, std::min((b + 1) * block, rows) * n,
                   [&](const Run& r) { f(r, sums.data() + b * n + r.ia); });
  });
  for (std::size_t b = 0; b < blocks; ++b) kernels::add(n, sums.data() + b * n, y);
}

// y[i] = f(a[i], b[i]), where a and b broadcast, or it throws as broadcast_shape does
template <class F>
Array zip_broadcast(const char* op, const Array& a, const Array& b, F f) {
  const Shape shape = broadcast_shape(op, a.shape(), b.shape());
  Array y = empty(shape);
  const Walk walk{shape, strides_in(a.shape(), shape), strides_in(b.shape(), shape)};
  for_each_run(walk, [&](const Run& r) {
    const Real *u = a.data() + r.ia, *v = b.data() + r.ib;
    Real* out = y.data() + r.at;
    if (r.step_a == 1 && r.step_b == 1) {  // the usual steps apart, for loops that vectorise
      for (std::size_t k = 0; k < r.n; ++k) out[k] = f(u[k], v[k]);
    } else if (r.step_a == 1 && r.step_b == 0) {
      for (std::size_t k = 0; k < r.n; ++k) out[k] = f(u[k], *v);
    } else if (r.step_a == 0 && r.step_b == 1) {
      for (std::size_t k = 0; k < r.n; ++k) out[k] = f(*u, v[k]);
    } else {
      for (std::size_t k = 0; k < r.n; ++k) out[k] = f(u[k * r.step_a], v[k * r.step_b]);
    }
  });
  return y;
}

// A shape as [outer, shape[axis] * inner]: what comes before an axis, and after it.
inline std::size_t outer_size(const Shape& shape, std::size_t axis) {
  std::size_t n = 1;
  for (std::size_t i = 0; i < axis; ++i) n *= shape[i];
  return n;
}
inline std::size_t inner_size(const Shape& shape, std::size_t axis) {
  std::size_t n = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) n *= shape[i];
  return n;
}

}  // namespace gradwalk
