// Elementwise ops: map() and zip() are the loops, and every op below is a value and a rule.
#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/loop.hpp"
#include "core/ops.hpp"
#include "core/ops/broadcast.hpp"

namespace gradwalk {
namespace {

// y[i] = f(x[i]); f is a lambda, since a pointer to a function would be called each time
template <class F>
Array map(const Array& x, F f) {
  Array y = Array::from_shape(x.shape());
  const Real* in = x.data();
  Real* out = y.data();
  for_each(y.size(), [=](std::size_t i) { out[i] = f(in[i]); });
  return y;
}

// y[i] = f(a[i], b[i]), broadcasting
template <class F>
Array zip(const char* op, const Array& a, const Array& b, F f) {
  const bool same = a.shape() == b.shape();
  Array y = same ? Array::from_shape(a.shape()) : zip_broadcast(op, a, b, f);
  const Real *u = a.data(), *v = b.data();
  Real* out = y.data();
  if (same) for_each(y.size(), [=](std::size_t i) { out[i] = f(u[i], v[i]); });
  return y;
}

// dy where holds(x), else 0. Not a product, in which 0 times infinity would be NaN.
template <class F>
Tensor pass_where(const Tensor& x, const Tensor& dy, F holds) {
  Array y = zip("where", x.value(), dy.value(),
                [holds](Real v, Real d) { return holds(v) ? d : Real(0); });
  return record("where", {dy}, std::move(y),
                [x, holds](const Tensor&, const Tensor& g) -> Gradients {
                  return {pass_where(x, g, holds)};  // linear in dy
                });
}

constexpr auto is_set = [](Real mask) { return mask != 0; };
constexpr auto is_unset = [](Real mask) { return mask == 0; };

// What `rule` says, dL/dx as tensors, by f(v, dL/dy) for each element v of x or y: in one pass,
// unless the gradient itself will be differentiated.
template <class F, class Rule>
Gradients in_one_pass(const Tensor& v, const Tensor& dy, F f, const Rule& rule) {
  if (grad_enabled()) return {rule()};
  return {Tensor(zip("gradient", v.value(), dy.value(), f))};
}

// sum_to(x * z, shape). The product is kept in memory only if it will be differentiated again.
Tensor sum_of_product(const Tensor& x, const Tensor& z, const Shape& shape) {
  if (grad_enabled() || x.shape() != z.shape() || x.shape() == shape) return sum_to(x * z, shape);
  Array y = full(shape, 0);
  const Real *u = x.value().data(), *v = z.value().data();
  for_each_run_summed({x.shape(), strides_in(shape, x.shape()), strides_in(x.shape(), x.shape())},
                      y.data(), [&](const Run& r, Real* to) {
                        if (r.step_a == 1) {
                          for (std::size_t k = 0; k < r.n; ++k) to[k] += u[r.ib + k] * v[r.ib + k];
                        } else {
                          *to += kernels::dot(r.n, u + r.ib, v + r.ib);
                        }
                      });
  return Tensor(std::move(y));
}

}  // namespace

Tensor operator+(const Tensor& a, const Tensor& b) {
  Array y = zip("add", a.value(), b.value(), [](Real u, Real v) { return u + v; });
  return record("add", {a, b}, std::move(y), [a, b](const Tensor&, const Tensor& dy) -> Gradients {
    Gradients d(2);
    if (a.requires_grad()) d[0] = sum_to(dy, a.shape());  // dL/da = dy
    if (b.requires_grad()) d[1] = sum_to(dy, b.shape());  // dL/db = dy
    return d;
  });
}

Tensor operator-(const Tensor& a, const Tensor& b) {
  Array y = zip("sub", a.value(), b.value(), [](Real u, Real v) { return u - v; });
  return record("sub", {a, b}, std::move(y), [a, b](const Tensor&, const Tensor& dy) -> Gradients {
    Gradients d(2);
    if (a.requires_grad()) d[0] = sum_to(dy, a.shape());   // dL/da = dy
    if (b.requires_grad()) d[1] = sum_to(-dy, b.shape());  // dL/db = -dy
    return d;
  });
}

Tensor operator*(const Tensor& a, const Tensor& b) {
  Array y = zip("mul", a.value(), b.value(), [](Real u, Real v) { return u * v; });
  return record("mul", {a, b}, std::move(y), [a, b](const Tensor&, const Tensor& dy) -> Gradients {
    Gradients d(2);
    if (a.requires_grad()) d[0] = sum_of_product(dy, b, a.shape());  // dL/da = dy * b
    if (b.requires_grad()) d[1] = sum_of_product(dy, a, b.shape());  // dL/db = dy * a
    return d;
  });
}

Tensor operator/(const Tensor& a, const Tensor& b) {
  Array value = zip("div", a.value(), b.value(), [](Real u, Real v) { return u / v; });
  return record("div", {a, b}, std::move(value),
                [a, b](const Tensor& y, const Tensor& dy) -> Gradients {
                  Gradients d(2);
                  if (a.requires_grad()) d[0] = sum_to(dy / b, a.shape());  // dL/da = dy / b
                  if (b.requires_grad())
                    d[1] = sum_to(-(dy / b * y), b.shape());  // dL/db = -dy * a / b^2
                  return d;
                });
}

Tensor operator-(const Tensor& x) {
  Array y = map(x.value(), [](Real v) { return -v; });
  return record("neg", {x}, std::move(y), [](const Tensor&, const Tensor& dy) -> Gradients {
    return {-dy};  // dL/dx = -dy
  });
}

Tensor operator*(const Tensor& x, Real c) {
  Array y = map(x.value(), [c](Real v) { return v * c; });
  return record("scale", {x}, std::move(y), [c](const Tensor&, const Tensor& dy) -> Gradients {
    return {dy * c};  // dL/dx = c * dy
  });
}

Tensor operator+(const Tensor& x, Real c) {
  Array y = map(x.value(), [c](Real v) { return v + c; });
  return record("shift", {x}, std::move(y), [](const Tensor&, const Tensor& dy) -> Gradients {
    return {dy};  // dL/dx = dy
  });
}

Tensor pow(const Tensor& x, Real p) {
  // a hundred times faster where it needs no logarithm
  Array value = p == 2   ? map(x.value(), [](Real v) { return v * v; })
                : p == 3 ? map(x.value(), [](Real v) { return v * v * v; })
                         : map(x.value(), [p](Real v) { return std::pow(v, p); });
  return record(
      "pow", {x}, std::move(value), [x, p](const Tensor& y, const Tensor& dy) -> Gradients {
        if (p == 0) return {Tensor(full(dy.shape(), 0))};  // also at x = 0, where x^-1 is infinite
        if (grad_enabled() || p == 2 || p == 3)
          return {dy * (p == 2 ? x : pow(x, p - 1)) * p};  // dL/dx = dy * p * x^(p-1)
        Array dx = empty(x.shape());  // x^(p-1) = y / x, unless y is 0, subnormal, infinite or NaN
        for_each(dx.size(), [p, u = x.value().data(), v = y.value().data(), d = dy.value().data(),
                             to = dx.data()](std::size_t i) {
          to[i] = d[i] * p * (std::isnormal(v[i]) ? v[i] / u[i] : std::pow(u[i], p - 1));
        });
        return {Tensor(std::move(dx))};
      });
}

Tensor exp(const Tensor& x) {
  Array value = map(x.value(), [](Real v) { return kernels::exp1(v); });
  return record("exp", {x}, std::move(value), [](const Tensor& y, const Tensor& dy) -> Gradients {
    return {dy * y};  // dL/dx = dy * e^x
  });
}

Tensor log(const Tensor& x) {
  Array y = map(x.value(), [](Real v) { return kernels::log1(v); });
  return record("log", {x}, std::move(y), [x](const Tensor&, const Tensor& dy) -> Gradients {
    return {dy / x};  // dL/dx = dy / x
  });
}

Tensor sqrt(const Tensor& x) {
  Array value = map(x.value(), [](Real v) { return std::sqrt(v); });
  return record("sqrt", {x}, std::move(value), [](const Tensor& y, const Tensor& dy) -> Gradients {
    return {dy / (y * 2)};  // dL/dx = dy / (2 sqrt x)
  });
}

Tensor abs(const Tensor& x) {
  Array y = map(x.value(), [](Real v) { return std::abs(v); });
  return record("abs", {x}, std::move(y), [x](const Tensor&, const Tensor& dy) -> Gradients {
    const Tensor sign(map(x.value(), [](Real v) { return Real(v > 0) - Real(v < 0); }));
    return {dy * sign};  // dL/dx = dy * sign(x)
  });
}

Tensor erf(const Tensor& x) {
  Array y = map(x.value(), [](Real v) { return kernels::erf1(v); });
  return record("erf", {x}, std::move(y), [x](const Tensor&, const Tensor& dy) -> Gradients {
    constexpr Real kTwoOverSqrtPi = Real(1.1283791670955126);
    return in_one_pass(
        x, dy, [](Real v, Real d) { return d * kTwoOverSqrtPi * kernels::exp1(-(v * v)); },
        [&] { return dy * exp(-(x * x)) * kTwoOverSqrtPi; });  // dy * 2/sqrt(pi) * e^(-x^2)
  });
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  // `u > v || u != u`: a NaN on either side comes through
  Array y =
      zip("maximum", a.value(), b.value(), [](Real u, Real v) { return u > v || u != u ? u : v; });
  return record(
      "maximum", {a, b}, std::move(y), [a, b](const Tensor&, const Tensor& dy) -> Gradients {
        // dy where it is the greater, half of it where both are equal
        const auto share = [&](const Tensor& one, const Tensor& other) {
          const Tensor part(zip("maximum", one.value(), other.value(), [](Real u, Real v) {
            return u > v ? Real(1) : (u == v ? Real(0.5) : Real(0));
          }));
          return sum_to(pass_where(part, dy * part, is_set), one.shape());
        };
        Gradients d(2);
        if (a.requires_grad()) d[0] = share(a, b);  // dL/da
        if (b.requires_grad()) d[1] = share(b, a);  // dL/db
        return d;
      });
}

Tensor minimum(const Tensor& a, const Tensor& b) {
  broadcast_shape("minimum", a.shape(), b.shape());  // for an error that names minimum
  return -maximum(-a, -b);
}

Tensor clamp(const Tensor& x, Real low, Real high) {
  // in this order a NaN comes through
  Array y = map(x.value(), [=](Real v) { return std::min(std::max(v, low), high); });
  return record("clamp", {x}, std::move(y),
                [x, low, high](const Tensor&, const Tensor& dy) -> Gradients {
                  // dL/dx = dy where low <= x <= high
                  return {pass_where(x, dy, [=](Real v) { return v >= low && v <= high; })};
                });
}

Tensor tanh(const Tensor& x) {
  Array value = map(x.value(), [](Real v) { return kernels::tanh1(v); });
  return record("tanh", {x}, std::move(value), [](const Tensor& y, const Tensor& dy) -> Gradients {
    return in_one_pass(
        y, dy, [](Real v, Real d) { return d - d * v * v; },
        [&] { return dy - dy * y * y; });  // dL/dx = dy * (1 - y^2)
  });
}

Tensor sigmoid(const Tensor& x) {
  Array value = map(x.value(), [](Real v) { return kernels::sigmoid1(v); });
  return record("sigmoid", {x}, std::move(value),
                [](const Tensor& y, const Tensor& dy) -> Gradients {
                  return in_one_pass(
                      y, dy, [](Real v, Real d) { return d * v * (1 - v); },
                      [&] { return dy * y * (-y + 1); });  // dL/dx = dy * y * (1 - y)
                });
}

Tensor relu(const Tensor& x) {
  Array value = map(x.value(), [](Real v) { return v <= 0 ? Real(0) : v; });  // a NaN comes through
  return record("relu", {x}, std::move(value), [](const Tensor& y, const Tensor& dy) -> Gradients {
    return {pass_where(y, dy, [](Real v) { return v > 0; })};  // dL/dx = dy where x > 0
  });
}

Tensor leaky_relu(const Tensor& x, Real slope) {
  Array y = map(x.value(), [slope](Real v) { return v > 0 ? v : slope * v; });
  return record("leaky_relu", {x}, std::move(y),
                [x, slope](const Tensor&, const Tensor& dy) -> Gradients {
                  const auto c = [slope](Real v) { return v > 0 ? Real(1) : slope; };
                  return in_one_pass(
                      x, dy, [c](Real v, Real d) { return d * c(v); },
                      [&] { return dy * Tensor(map(x.value(), c)); });  // dL/dx = dy or c dy
                });
}

Tensor softplus(const Tensor& x) {
  Array y = map(x.value(), [](Real v) { return kernels::softplus1(v); });
  return record("softplus", {x}, std::move(y), [x](const Tensor&, const Tensor& dy) -> Gradients {
    return in_one_pass(
        x, dy, [](Real v, Real d) { return d * kernels::sigmoid1(v); },
        [&] { return dy * sigmoid(x); });  // dL/dx = dy * e^x / (1 + e^x)
  });
}

Tensor silu(const Tensor& x) {
  Array y = map(x.value(), [](Real v) { return v * kernels::sigmoid1(v); });
  return record("silu", {x}, std::move(y), [x](const Tensor&, const Tensor& dy) -> Gradients {
    return in_one_pass(
        x, dy,
        [](Real v, Real d) {
          const Real s = kernels::sigmoid1(v);
          return d * s * (1 + v * (1 - s));
        },
        [&] {
          const Tensor s = sigmoid(x);
          return dy * s * (x * (-s + 1) + 1);  // dL/dx = dy * s * (1 + x (1 - s)), s = sigmoid(x)
        });
  });
}

Tensor gelu(const Tensor& x) {
  Array y = map(x.value(), [](Real v) { return v * kernels::normal1(v).below; });
  return record("gelu", {x}, std::move(y), [x](const Tensor&, const Tensor& dy) -> Gradients {
    return in_one_pass(
        x, dy,
        [](Real v, Real d) {
          const auto [below, density] = kernels::normal1(v);
          return d * (below + v * density);
        },
        [&] {  // dL/dx = dy * (P(x) + x p(x)) of the normal distribution P and its density p
          const Tensor P = (erf(x * kernels::kSqrtHalf) + 1) / 2;
          return dy * (P + x * exp(x * x / -2) * kernels::kDensityAt0);
        });
  });
}

Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  const Shape shape =
      broadcast_shape("where", mask.shape(), broadcast_shape("where", a.shape(), b.shape()));
  const Tensor wide_a = broadcast_to(a, shape), wide_b = broadcast_to(b, shape);
  Array y = empty(shape);
  const Shape strides = strides_in(mask.shape(), shape);
  for_each_run({shape, strides, strides}, [&](const Run& r) {
    const Real *m = mask.value().data() + r.ia, *u = wide_a.value().data() + r.at,
               *v = wide_b.value().data() + r.at;
    Real* out = y.data() + r.at;
    const auto choose = [=](std::size_t step) {
      for (std::size_t k = 0; k < r.n; ++k) {
        const Real yes = u[k], no = v[k];  // both are read: with a branch it would not vectorise
        out[k] = m[k * step] != 0 ? yes : no;
      }
    };
    r.step_a == 1 ? choose(1) : choose(r.step_a);
  });
  return record("where", {wide_a, wide_b, mask}, std::move(y),
                [wide_a, wide_b, mask](const Tensor&, const Tensor& dy) -> Gradients {
                  Gradients d(3);  // a mask has no gradient
                  if (wide_a.requires_grad())
                    d[0] = pass_where(mask, dy, is_set);  // dL/da = dy where the mask holds
                  if (wide_b.requires_grad())
                    d[1] = pass_where(mask, dy, is_unset);  // dL/db = dy where it does not
                  return d;
                });
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, Real c) {
  check(broadcast_shape("masked_fill", mask.shape(), x.shape()) == x.shape(),
        "masked_fill: the mask ", mask.shape(), " must broadcast to the tensor ", x.shape());
  return where(mask, Tensor(full({}, c)), x);
}

Tensor dropout(const Tensor& x, double p, Generator& generator) {
  check(p >= 0 && p < 1, "dropout: the probability must be in [0, 1), got ", p);
  const Real kept = static_cast<Real>(1 / (1 - p));
  Array mask = empty(x.shape());  // drawn in one thread: the generator has one order
  for (Real& k : mask) k = generator.uniform() < p ? Real(0) : kept;
  const Tensor m(std::move(mask));
  Array y = zip("dropout", x.value(), m.value(), [](Real u, Real v) { return u * v; });
  return record("dropout", {x}, std::move(y), [m](const Tensor&, const Tensor& dy) -> Gradients {
    return {dy * m};  // dL/dx = dy * m
  });
}

}  // namespace gradwalk
