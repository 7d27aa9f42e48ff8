#include "core/gradcheck.hpp"

#include <cmath>

#include "core/autograd.hpp"
#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/ops.hpp"

namespace gradwalk {
namespace {

constexpr Real kStep = Real(1e-5);

// <gradient, u>, a scalar in the graph; 0 where there is no gradient
Tensor along(const Gradient& g, const Array& u) {
  if (std::holds_alternative<std::monostate>(g)) return Tensor(full({}, 0));
  return sum(dense(g) * Tensor(u));
}

// (F(x + eps u) - F(x - eps u)) / (2 eps); x is as before afterwards, whatever F throws.
Real difference(const std::function<Tensor()>& F, Tensor x, const Array& u) {
  struct PutBack {
    Tensor& x;
    const Array before;
    ~PutBack() { x.mutable_value() = before; }
  } const original{x, x.value()};
  Real ends[2];
  for (int side = 0; side < 2; ++side) {
    Array& moved = x.mutable_value();
    for (std::size_t i = 0; i < moved.size(); ++i)
      moved.data()[i] = original.before.data()[i] + (side == 0 ? kStep : -kStep) * u.data()[i];
    ends[side] = F().item();
  }
  return (ends[0] - ends[1]) / (2 * kStep);
}

// Compares the gradient of the scalar function F with central differences, one leaf at a time.
void compare(const char* what, const std::function<Tensor()>& F, const Tensors& leaves,
             const std::vector<Array>& directions, Real tolerance, bool create_graph = false) {
  const Tensor y = F();
  const Gradients analytic =
      y.requires_grad() ? gradients(y, leaves, create_graph) : Gradients(leaves.size());
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const Real numeric = difference(F, leaves[i], directions[i]),
               engine = along(analytic[i], directions[i]).item();
    const Real error =
        std::abs(engine - numeric) / std::max({std::abs(engine), std::abs(numeric), Real(1e-3)});
    check<std::runtime_error>(error <= tolerance, "check_gradients: ", what,
                              " derivative with respect to input ", i, ' ', leaves[i].shape(),
                              ": the engine says ", engine, ", differences say ", numeric,
                              " (relative error ", error, ", allowed ", tolerance, ")");
  }
}

}  // namespace

void check_gradients(const std::function<Tensor()>& f, const Tensors& leaves, int order) {
  check<std::logic_error>(
      sizeof(Real) == sizeof(double),
      "check_gradients: needs a library compiled for double; use the preset 'double'");
  Generator generator(20180405);
  Tensors all = leaves;
  // the cotangent is one more leaf: rules must keep dy's graph too
  const Tensor c(normal(f().shape(), generator), true);
  all.push_back(c);
  std::vector<Array> u, v;
  for (const Tensor& x : all) {
    u.push_back(normal(x.shape(), generator));
    v.push_back(normal(x.shape(), generator));
  }
  const auto F = [&] { return sum(f() * c); };
  compare("first-order", F, all, u, Real(1e-6));
  if (order < 2) return;
  // A rule may have two branches, one of them for create_graph.
  compare("first-order create_graph", F, all, u, Real(1e-6), true);
  const auto slope = [&] {  // sum_i <dF/dx_i, v_i>
    const Gradients g = gradients(F(), all, true);
    Tensor total(full({}, 0));
    for (std::size_t i = 0; i < g.size(); ++i) total = total + along(g[i], v[i]);
    return total;
  };
  compare("second-order", slope, all, u, Real(1e-5));
}

void check_gradients(const std::function<Tensor(const Tensors&)>& f,
                     const std::vector<Array>& inputs, int order) {
  Tensors xs;
  for (const Array& x : inputs) xs.emplace_back(x, true);
  check_gradients([&] { return f(xs); }, xs, order);
}

}  // namespace gradwalk
