#include "optim/clip.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/machine/kernels.hpp"
#include "optim/optimizer.hpp"

namespace gradwalk {
namespace {

// The gradients' numbers, once for a parameter that is listed twice. Repeated rows are added up,
// once for the clipping and for the optimizer's step.
std::vector<Tensor*> numbers(const char* op, const Tensors& parameters) {
  for (const Tensor& p : parameters) {
    if (p.requires_grad()) check_gradient(op, p);
  }
  std::vector<Tensor*> all;
  std::set<const Node*> seen;
  for (Tensor p : parameters) {
    if (!p.requires_grad() || !seen.insert(p.node().get()).second) continue;
    Gradient& g = p.mutable_grad();
    if (std::holds_alternative<std::monostate>(g)) continue;
    if (auto* sparse = std::get_if<RowSparse>(&g)) {
      *sparse = coalesce(*sparse);
      all.push_back(&sparse->values);
    } else {
      g = dense(g);
      all.push_back(&std::get<Tensor>(g));
    }
  }
  return all;
}

}  // namespace

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm) {
  check(max_norm > 0, "clip_grad_norm: max_norm must be positive, got ", max_norm);
  NoGrad guard;
  const std::vector<Tensor*> gradients = numbers("clip_grad_norm", parameters);
  double squares = 0;
  for (const Tensor* g : gradients)
    squares += kernels::sum_of_squares(g->size(), g->value().data());
  const double total = std::sqrt(squares);
  check<std::runtime_error>(std::isfinite(total), "clip_grad_norm: the gradients' norm is ", total,
                            "; a NanTrap tells which op made it");
  const double c = max_norm / (total + 1e-6);
  if (c >= 1) return total;
  for (Tensor* g : gradients)
    kernels::scale(g->size(), static_cast<Real>(c), g->mutable_value().data());
  return total;
}

void clip_grad_value(const std::vector<Tensor>& parameters, double clip_value) {
  check(clip_value > 0, "clip_grad_value: clip_value must be positive, got ", clip_value);
  NoGrad guard;
  const Real most = static_cast<Real>(clip_value);
  for (Tensor* g : numbers("clip_grad_value", parameters)) {
    for (Real& x : g->mutable_value()) x = std::clamp(x, -most, most);
  }
}

}  // namespace gradwalk
