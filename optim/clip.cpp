#include "optim/clip.hpp"

#include <cmath>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/kernels.hpp"

namespace gradwalk {

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm) {
  check(max_norm > 0, "clip_grad_norm: max_norm must be positive, got ", max_norm);
  NoGrad guard;
  double squares = 0;
  for (Tensor p : parameters) {
    if (!p.requires_grad()) continue;
    // coalesced once for the norm, the scaling and the optimizer's step
    if (auto* sparse = std::get_if<RowSparse>(&p.mutable_grad())) *sparse = coalesce(*sparse);
    const double n = norm(p.grad());
    squares += n * n;
  }
  const double total = std::sqrt(squares);
  check<std::runtime_error>(std::isfinite(total), "clip_grad_norm: the gradients' norm is ", total,
                            "; a NanTrap tells which op made it");
  const double c = max_norm / (total + 1e-6);
  if (c >= 1) return total;
  for (Tensor p : parameters) {
    if (!p.requires_grad()) continue;
    Gradient& g = p.mutable_grad();
    auto* sparse = std::get_if<RowSparse>(&g);
    if (auto* t = sparse ? &sparse->values : std::get_if<Tensor>(&g))
      kernels::scale(t->size(), static_cast<Real>(c), t->mutable_value().data());
  }
  return total;
}

}  // namespace gradwalk
