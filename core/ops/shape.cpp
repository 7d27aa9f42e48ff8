// Ops that move numbers without changing them. Inverse pairs: reshape and permute with themselves,
// slice with pad, broadcast_to with sum_to.
#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops.hpp"
#include "core/ops/broadcast.hpp"

namespace gradwalk {
namespace {

void check_axis(const char* op, const Tensor& x, std::size_t axis) {
  check<std::out_of_range>(axis < x.dim(), op, ": axis ", axis, " is outside ", x.shape());
}

// Copies n blocks of `width` numbers between arrays whose blocks start `from_step` and `to_step`
// apart.
void copy_blocks(std::size_t n, std::size_t width, const Real* from, std::size_t from_step,
                 Real* to, std::size_t to_step) {
  parallel_ranges(n, kernels::kGrain / (width + 1), [=](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      std::copy_n(from + i * from_step, width, to + i * to_step);
  });
}

// An array of `shape` whose elements stand `strides` apart in x.
Array gather_strided(const Shape& shape, const Shape& strides, const Array& x) {
  Array y = empty(shape);
  Walk w = merged({shape, strides, strides_in(shape, shape)});
  const std::size_t columns = w.shape.back(), step = w.a.back();
  const auto axis = static_cast<std::size_t>(std::find(w.a.begin(), w.a.end(), 1) - w.a.begin());
  if (step > 1 && axis < w.a.size()) {  // x runs along another axis than y: a transpose of both
    const std::size_t rows = w.shape[axis], to_step = w.b[axis];
    w.shape[axis] = w.shape.back() = 1;
    const std::size_t n = size_of(w.shape);
    parallel_ranges(rows, kernels::kGrain / (n * columns + 1) + 1,
                    [&](std::size_t begin, std::size_t end) {
                      for_each_run(w, 0, n, [&](const Run& r) {
                        kernels::transpose(columns, end - begin, x.data() + r.ia + begin, step,
                                           y.data() + r.ib + begin * to_step, to_step);
                      });
                    });
    return y;
  }
  for_each_run(w, [&](const Run& r) {
    const Real* from = x.data() + r.ia;
    Real* to = y.data() + r.at;
    if (r.step_a == 1) {
      std::copy_n(from, r.n, to);
    } else if (r.step_a == 0) {
      std::fill_n(to, r.n, *from);
    } else {
      for (std::size_t k = 0; k < r.n; ++k) to[k] = from[k * r.step_a];
    }
  });
  return y;
}

}  // namespace

Shape broadcast_shape(const char* op, const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()));
  for (std::size_t i = 1; i <= shape.size(); ++i) {  // from the last axis
    const std::size_t na = i <= a.size() ? a[a.size() - i] : 1,
                      nb = i <= b.size() ? b[b.size() - i] : 1;
    check(na == nb || na == 1 || nb == 1, op, ": shapes ", a, " and ", b, " do not broadcast");
    shape[shape.size() - i] = na == 1 ? nb : na;
  }
  return shape;
}

Shape strides_in(const Shape& narrow, const Shape& wide) {
  Shape strides(wide.size(), 0);
  std::size_t step = 1;
  for (std::size_t i = 1; i <= narrow.size(); ++i) {
    const std::size_t n = narrow[narrow.size() - i];
    if (n != 1) strides[wide.size() - i] = step;
    step *= n;
  }
  return strides;
}

Walk merged(const Walk& w) {
  Walk out;
  for (std::size_t i = 0; i < w.shape.size(); ++i) {
    const std::size_t n = w.shape[i];
    if (n == 1) continue;
    if (out.shape.empty() || out.a.back() != w.a[i] * n || out.b.back() != w.b[i] * n) {
      out.shape.push_back(n);
      out.a.push_back(w.a[i]);
      out.b.push_back(w.b[i]);
    } else {
      out.shape.back() *= n;
      out.a.back() = w.a[i];
      out.b.back() = w.b[i];
    }
  }
  return out.shape.empty() ? Walk{{1}, {0}, {0}} : out;
}

Shape index_of(std::size_t at, const Shape& shape) {
  Shape index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0; at /= shape[axis])
    index[axis] = at % shape[axis];
  return index;
}

Tensor reshape(const Tensor& x, const Shape& shape) {
  check(size_of(shape) == x.size(), "reshape: ", x.shape(), " holds ", x.size(), " elements, ",
        shape, " needs ", size_of(shape));
  if (x.shape() == shape) return x;
  Array y = x.value();
  y.reshape(shape);
  return record("reshape", {x}, std::move(y),
                [before = x.shape()](const Tensor&, const Tensor& dy) -> Gradients {
                  return {reshape(dy, before)};  // dL/dx: dy in x's shape
                });
}

Tensor squeeze(const Tensor& x, std::size_t axis) {
  check_axis("squeeze", x, axis);
  Shape shape = x.shape();
  check(shape[axis] == 1, "squeeze: axis ", axis, " of ", shape, " must have length 1");
  shape.erase(shape.begin() + axis);
  return reshape(x, shape);
}

Tensor unsqueeze(const Tensor& x, std::size_t axis) {
  check<std::out_of_range>(axis <= x.dim(), "unsqueeze: axis ", axis, " is outside ", x.shape(),
                           " with one axis more");
  Shape shape;
  for (std::size_t i = 0; i <= x.dim(); ++i)
    shape.push_back(i == axis ? 1 : x.shape(i < axis ? i : i - 1));
  return reshape(x, shape);
}

Tensor flatten(const Tensor& x, std::size_t start) {
  if (start > 0) check_axis("flatten", x, start);  // a scalar becomes [1]
  Shape shape(x.shape().begin(), x.shape().begin() + start);
  shape.push_back(size_of({x.shape().begin() + start, x.shape().end()}));
  return reshape(x, shape);
}

Tensor permute(const Tensor& x, const Axes& axes) {
  Axes sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  bool each_once = axes.size() == x.dim();
  for (std::size_t i = 0; i < sorted.size(); ++i) each_once = each_once && sorted[i] == i;
  check(each_once, "permute: axes must name each axis of ", x.shape(), " once, got ",
        Shape(axes.begin(), axes.end()));
  const Shape& before = x.shape();
  const Shape all = strides_in(before, before);
  Shape shape(axes.size()), from(axes.size());
  Axes inverse(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    shape[i] = before[axes[i]];
    from[i] = all[axes[i]];
    inverse[axes[i]] = i;
  }
  Array y = gather_strided(shape, from, x.value());
  return record("permute", {x}, std::move(y),
                [inverse](const Tensor&, const Tensor& dy) -> Gradients {
                  return {permute(dy, inverse)};  // dL/dx: dy's axes moved back
                });
}

Tensor transpose(const Tensor& x, std::size_t axis0, std::size_t axis1) {
  check_axis("transpose", x, axis0);
  check_axis("transpose", x, axis1);
  Axes axes(x.dim());
  std::iota(axes.begin(), axes.end(), std::size_t{0});
  std::swap(axes[axis0], axes[axis1]);
  return permute(x, axes);
}

Tensor slice(const Tensor& x, std::size_t axis, std::size_t begin, std::size_t end) {
  check_axis("slice", x, axis);
  Shape shape = x.shape();
  const std::size_t length = shape[axis];
  check<std::out_of_range>(begin <= end && end <= length, "slice: ", begin, ':', end,
                           " is outside axis ", axis, " of ", shape);
  shape[axis] = end - begin;
  const std::size_t block = inner_size(shape, axis);
  Array y = empty(shape);
  if (y.size() > 0)
    copy_blocks(outer_size(shape, axis), shape[axis] * block, x.value().data() + begin * block,
                length * block, y.data(), shape[axis] * block);
  return record("slice", {x}, std::move(y),
                [axis, begin, before = x.shape()](const Tensor&, const Tensor& dy) -> Gradients {
                  return {Slice{dy, before, axis, begin}};  // dL/dx: dy there, and zero elsewhere
                });
}

Tensor select(const Tensor& x, std::size_t axis, std::size_t index) {
  check_axis("select", x, axis);
  check<std::out_of_range>(index < x.shape(axis), "select: index ", index, " is outside axis ",
                           axis, " of ", x.shape());
  return squeeze(slice(x, axis, index, index + 1), axis);
}

Tensor pad(const Tensor& x, std::size_t axis, std::size_t before, std::size_t after) {
  check_axis("pad", x, axis);
  Shape shape = x.shape();
  const std::size_t length = shape[axis];
  shape[axis] += before + after;
  check(shape[axis] >= length && shape[axis] - length >= std::max(before, after),
        "pad: ", x.shape(), " cannot be padded by a negative number");
  const std::size_t block = inner_size(shape, axis);
  Array y = full(shape, 0);
  if (x.size() > 0)
    copy_blocks(outer_size(shape, axis), length * block, x.value().data(), length * block,
                y.data() + before * block, shape[axis] * block);
  return record(
      "pad", {x}, std::move(y),
      [axis, before, length](const Tensor&, const Tensor& dy) -> Gradients {
        return {slice(dy, axis, before, before + length)};  // dL/dx: dy without the padding
      });
}

Tensor concat(const Tensors& xs, std::size_t axis) {
  check(!xs.empty(), "concat: needs at least one tensor");
  check_axis("concat", xs[0], axis);
  Shape shape = xs[0].shape();
  shape[axis] = 0;
  Shape begins{0};
  for (const Tensor& x : xs) {
    Shape other = x.shape();
    if (axis < other.size()) other[axis] = shape[axis];
    check(other == shape, "concat: ", xs[0].shape(), " and ", x.shape(),
          " differ in more than axis ", axis);
    shape[axis] += x.shape(axis);
    begins.push_back(shape[axis]);
  }
  const std::size_t block = inner_size(shape, axis);
  Array y = empty(shape);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const std::size_t width = xs[i].shape(axis) * block;
    if (xs[i].size() > 0)
      copy_blocks(outer_size(shape, axis), width, xs[i].value().data(), width,
                  y.data() + begins[i] * block, shape[axis] * block);
  }
  return record(
      "concat", xs, std::move(y), [xs, axis, begins](const Tensor&, const Tensor& dy) -> Gradients {
        Gradients dxs(xs.size());
        for (std::size_t i = 0; i < xs.size(); ++i) {
          if (xs[i].requires_grad())
            dxs[i] = slice(dy, axis, begins[i], begins[i + 1]);  // dL/dx_i: its part of dy
        }
        return dxs;
      });
}

Tensor stack(const Tensors& xs, std::size_t axis) {
  check(!xs.empty(), "stack: needs at least one tensor");
  Tensors wide;
  for (const Tensor& x : xs) {
    check(x.shape() == xs[0].shape(), "stack: shapes must be equal, got ", xs[0].shape(), " and ",
          x.shape());
    check<std::out_of_range>(axis <= x.dim(), "stack: axis ", axis, " is outside ", x.shape(),
                             " with one axis more");
    wide.push_back(unsqueeze(x, axis));
  }
  return concat(wide, axis);
}

Tensors split(const Tensor& x, std::size_t size, std::size_t axis) {
  check_axis("split", x, axis);
  check(size > 0, "split: the size must be positive");
  Tensors parts;
  for (std::size_t begin = 0; begin < x.shape(axis); begin += size) {
    parts.push_back(slice(x, axis, begin, std::min(begin + size, x.shape(axis))));
  }
  return parts;
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const Shape& before = x.shape();
  check(broadcast_shape("broadcast_to", before, shape) == shape, "broadcast_to: ", before,
        " does not broadcast to ", shape);
  Array y = gather_strided(shape, strides_in(before, shape), x.value());
  return record("broadcast_to", {x}, std::move(y),
                [before](const Tensor&, const Tensor& dy) -> Gradients {
                  return {sum_to(dy, before)};  // dL/dx: an element used many times gets the sum
                });
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const Shape& before = x.shape();
  check(broadcast_shape("sum_to", before, shape) == before, "sum_to: ", before, " does not sum to ",
        shape);
  Array y = full(shape, 0);
  const Real* in = x.value().data();
  for_each_run_summed({before, strides_in(shape, before), strides_in(before, before)}, y.data(),
                      [&](const Run& r, Real* to) {
                        if (r.step_a == 1) {
                          kernels::add(r.n, in + r.ib, to);
                        } else {
                          *to += kernels::sum(r.n, in + r.ib);
                        }
                      });
  return record("sum_to", {x}, std::move(y),
                [before](const Tensor&, const Tensor& dy) -> Gradients {
                  return {broadcast_to(dy, before)};  // dL/dx: each addend gets the sum's gradient
                });
}

}  // namespace gradwalk
