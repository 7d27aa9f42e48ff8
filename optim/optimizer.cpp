#include "optim/optimizer.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "core/error.hpp"

namespace gradwalk {

Optimizer::Optimizer(std::vector<Tensor> parameters, double lr, SparsePolicy policy)
    : policy_(policy) {
  set_lr(lr);
  std::copy_if(parameters.begin(), parameters.end(), std::back_inserter(parameters_),
               [](const Tensor& p) { return p.requires_grad(); });
  check(!parameters_.empty(), "optimizer: needs at least one parameter that requires a gradient");
}

void Optimizer::set_lr(double lr) {
  check(lr >= 0, "optimizer: the learning rate must not be negative, got ", lr);
  lr_ = lr;
}

void Optimizer::step() {
  NoGrad guard;
  begin_step();
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    Tensor& p = parameters_[k];
    const Gradient& g = p.grad();
    if (std::holds_alternative<std::monostate>(g)) continue;
    const auto* sparse = std::get_if<RowSparse>(&g);
    if (!sparse || policy_ == SparsePolicy::kDensify) {
      const Tensor d = dense(g);
      update(k, 0, p.size(), p.mutable_value().data(), d.value().data(), false);
      continue;
    }
    const RowSparse once = coalesce(*sparse);  // the update is not linear in g: each row once
    const std::size_t width = sparse->num_rows == 0 ? 0 : p.size() / sparse->num_rows;
    Real* w = p.mutable_value().data();
    for (std::size_t i = 0; i < once.rows.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(once.rows.data()[i]) * width;
      update(k, at, width, w + at, once.values.value().data() + i * width, true);
    }
  }
}

void Optimizer::zero_grad() {
  for (Tensor& p : parameters_) p.zero_grad();
}

State::State(std::size_t n)
    : data_(static_cast<Real*>(std::calloc(std::max<std::size_t>(n, 1), sizeof(Real))), std::free) {
  if (!data_) throw std::bad_alloc();
}

}  // namespace gradwalk
