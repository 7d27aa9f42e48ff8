#include "core/gradcheck.hpp"

#include <cmath>

#include "core/autograd.hpp"
#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/ops.hpp"

namespace gradwalk {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;
constexpr Real kStep = Real(1e-5);

// <gradient, u>, a scalar in the graph; 0 where there is no gradient
Tensor along(const Gradient& g, const Array& u) {
  if (std::holds_alternative<std::monostate>(g)) return Tensor(full({}, 0));
  return sum(dense(g) * Tensor(u));
}

Array moved(const Array& x, const Array& u, Real step) {
  Array y = x;
  for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] += step * u.data()[i];
  return y;
}

// Compares the gradient of the scalar function F with central differences, one input at a time.
void compare(const char* order, const Function& F, const std::vector<Array>& at,
             const std::vector<Array>& directions, Real tolerance) {
  std::vector<Tensor> xs;
  for (const Array& x : at) xs.emplace_back(x, true);
  const Tensor y = F(xs);
  const Gradients analytic = y.requires_grad() ? gradients(y, xs) : Gradients(xs.size());
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (analytic.size() != xs.size()) break;
    Real ends[2];
    for (int side = 0; side < 2; ++side) {
      std::vector<Tensor> there;
      for (std::size_t k = 0; k < at.size(); ++k) {
        there.emplace_back(k == i ? moved(at[k], directions[k], side == 0 ? kStep : -kStep) : at[k],
                           true);
      }
      ends[side] = F(there).item();
    }
    const Real numeric = (ends[0] - ends[1]) / (2 * kStep),
               engine = along(analytic[i], directions[i]).item();
    const Real error =
        std::abs(engine - numeric) / std::max({std::abs(engine), std::abs(numeric), Real(1e-3)});
    check<std::runtime_error>(error <= tolerance, "check_gradients: ", order,
                              "-order derivative with respect to input ", i, ' ', shape_of(at[i]),
                              ": the engine says ", engine, ", differences say ", numeric,
                              " (relative error ", error, ", allowed ", tolerance, ")");
  }
}

}  // namespace

void check_gradients(const Function& f, const std::vector<Array>& inputs, int order) {
  check<std::logic_error>(
      sizeof(Real) == sizeof(double),
      "check_gradients: needs a library compiled for double; use the preset 'double'");
  Generator generator(20180405);
  std::vector<Array> at = inputs, u, v;
  std::vector<Tensor> probe;
  for (const Array& x : inputs) probe.emplace_back(x, true);
  // the cotangent is one more input: rules must keep dy's graph too
  at.push_back(normal(f(probe).shape(), generator));
  for (const Array& x : at) {
    u.push_back(normal(shape_of(x), generator));
    v.push_back(normal(shape_of(x), generator));
  }
  const auto F = [&](const std::vector<Tensor>& xc) {
    return sum(f(std::vector<Tensor>(xc.begin(), xc.end() - 1)) * xc.back());
  };
  compare("first", F, at, u, Real(1e-6));
  if (order < 2) return;
  const auto slope = [&](const std::vector<Tensor>& xc) {  // sum_i <dF/dx_i, v_i>
    const Gradients g = gradients(F(xc), xc, true);
    Tensor total(full({}, 0));
    for (std::size_t i = 0; i < g.size(); ++i) total = total + along(g[i], v[i]);
    return total;
  };
  compare("second", slope, at, u, Real(1e-5));
}

}  // namespace gradwalk
