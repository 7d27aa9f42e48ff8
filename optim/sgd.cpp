#include "optim/sgd.hpp"

#include "core/error.hpp"

namespace gradwalk {

SGD::SGD(const std::vector<ParamGroup>& groups, double lr, SGDOptions options)
    : Optimizer(groups, lr, options.weight_decay, options.policy), options_(options) {
  check(options.momentum >= 0 && options.weight_decay >= 0,
        "sgd: momentum and weight_decay must not be negative, got ", options.momentum, " and ",
        options.weight_decay);
  check(!options.nesterov || options.momentum > 0, "sgd: nesterov needs a momentum");
  if (options.momentum == 0) return;
  for (const Tensor& p : parameters()) velocity_.emplace_back(p.size());
}

void SGD::update(std::size_t k, std::size_t at, std::size_t n, Real* __restrict w,
                 const Real* __restrict g, bool) {
  const Real rate = rate_, decay = static_cast<Real>(weight_decay(k));
  if (velocity_.empty()) {
    for (std::size_t i = 0; i < n; ++i) w[i] -= rate * (g[i] + decay * w[i]);
    return;
  }
  const Real momentum = static_cast<Real>(options_.momentum);
  const Real look_ahead = options_.nesterov ? momentum : Real(1),
             direct = options_.nesterov ? Real(1) : Real(0);
  Real* __restrict b =
      velocity_[k].data() + at;  // starts as 0, so that the first b is g, as in PyTorch
  for (std::size_t i = 0; i < n; ++i) {
    const Real gi = g[i] + decay * w[i];
    b[i] = momentum * b[i] + gi;
    w[i] -= rate * (direct * gi + look_ahead * b[i]);
  }
}

// update() with g = 0: gi = decay w, b' = momentum b + gi, w' = w - lr (direct gi + look_ahead b')
LinearStep SGD::missed_step(std::size_t k, double lr) const {
  const double decay = weight_decay(k), momentum = options_.momentum;
  const double look_ahead = options_.nesterov ? momentum : 1, direct = options_.nesterov ? 1 : 0;
  return {1 - lr * (direct + look_ahead) * decay, -lr * look_ahead * momentum, decay, momentum};
}

void SGD::skip(std::size_t k, std::size_t at, std::size_t n, Real* w, const LinearStep& together,
               std::size_t) {
  apply(together, n, w, velocity_.empty() ? nullptr : velocity_[k].data() + at);
}

}  // namespace gradwalk
