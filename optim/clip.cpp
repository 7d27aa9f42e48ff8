#include "optim/clip.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/kernels.hpp"

namespace gradwalk {
namespace {

// The numbers of p's gradient, or null. Repeated rows are added up, once for the clipping and for
// the optimizer's step.
Tensor* numbers(Tensor& p) {
  if (!p.requires_grad()) return nullptr;
  Gradient& g = p.mutable_grad();
  auto* sparse = std::get_if<RowSparse>(&g);
  if (!sparse) return std::get_if<Tensor>(&g);
  *sparse = coalesce(*sparse);
  return &sparse->values;
}

}  // namespace

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm) {
  check(max_norm > 0, "clip_grad_norm: max_norm must be positive, got ", max_norm);
  NoGrad guard;
  double squares = 0;
  for (Tensor p : parameters) {
    if (const Tensor* g = numbers(p))
      squares += kernels::sum_of_squares(g->size(), g->value().data());
  }
  const double total = std::sqrt(squares);
  check<std::runtime_error>(std::isfinite(total), "clip_grad_norm: the gradients' norm is ", total,
                            "; a NanTrap tells which op made it");
  const double c = max_norm / (total + 1e-6);
  if (c >= 1) return total;
  for (Tensor p : parameters) {
    if (Tensor* g = numbers(p))
      kernels::scale(g->size(), static_cast<Real>(c), g->mutable_value().data());
  }
  return total;
}

void clip_grad_value(const std::vector<Tensor>& parameters, double clip_value) {
  check(clip_value > 0, "clip_grad_value: clip_value must be positive, got ", clip_value);
  NoGrad guard;
  const Real most = static_cast<Real>(clip_value);
  for (Tensor p : parameters) {
    if (Tensor* g = numbers(p)) {
      for (Real& x : g->mutable_value()) x = std::clamp(x, -most, most);
    }
  }
}

}  // namespace gradwalk
