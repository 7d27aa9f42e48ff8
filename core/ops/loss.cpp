// Losses on class scores. Formulas and options in ops.hpp.
#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops.hpp"

namespace gradwalk {
namespace {

// q[N,C], and what a mean divides by
struct Targets {
  Tensor q;
  Real weight_sum;
};

Targets make_targets(const char* op, const Tensor& x, const Indices& targets,
                     const CrossEntropyOptions& options) {
  check(x.dim() == 2 && targets.dimension() == 1 && x.shape(0) == targets.size(), op,
        ": needs scores [N, C] and targets [N], got ", x.shape(), " and ", targets.shape());
  const std::size_t num_rows = x.shape(0), num_classes = x.shape(1);
  check(options.weight.size() == 0 || options.weight.shape() == Shape{num_classes}, op,
        ": the class weights must be [", num_classes, "], got ", options.weight.shape());
  const double eps = options.label_smoothing;
  check(eps >= 0 && eps <= 1, op, ": label_smoothing must be in [0, 1], got ", eps);
  const auto weight = [&](std::size_t c) {
    return options.weight.size() == 0 ? Real(1) : options.weight.data()[c];
  };
  Array q = full({num_rows, num_classes}, 0);
  Real weight_sum = 0;
  for (std::size_t n = 0; n < num_rows; ++n) {
    const std::int64_t target = targets.data()[n];
    if (target == options.ignore_index) continue;
    check<std::out_of_range>(target >= 0 && static_cast<std::size_t>(target) < num_classes, op,
                             ": target ", target, " at [", n, "] is outside ", num_classes,
                             " classes");
    Real* row = q.data() + n * num_classes;
    const auto t = static_cast<std::size_t>(target);
    if (eps > 0) {
      for (std::size_t c = 0; c < num_classes; ++c)
        row[c] = weight(c) * static_cast<Real>(eps / static_cast<double>(num_classes));
    }
    row[t] += weight(t) * static_cast<Real>(1 - eps);
    weight_sum += weight(t);
  }
  check(options.reduction != Reduction::kMean || weight_sum > 0, op,
        ": a mean needs a target that is not ignored and has a weight; there are ", num_rows,
        " rows");
  return {Tensor(std::move(q)), weight_sum};
}

// losses [N] by the mean over weights, the sum, or as they are
Tensor reduce_weighted(const Tensor& losses, Reduction reduction, Real weight_sum) {
  if (reduction == Reduction::kNone) return losses;
  return reduction == Reduction::kSum ? sum(losses) : sum(losses) * (1 / weight_sum);
}

// dL/dlogits = (softmax(logits) * sum_c q - q) * dy
Tensor cross_entropy_gradient(const Tensor& logits, const Tensor& q, const Tensor& dy) {
  const Tensor q_sum = sum(q, {1}, true);
  if (grad_enabled()) return (softmax(logits, 1) * q_sum - q) * reshape(dy, q_sum.shape());
  const std::size_t num_rows = q.shape(0), num_classes = q.shape(1);
  Array dx = empty(q.shape());  // the same in two passes
  kernels::softmax_rows(num_rows, num_classes, logits.value().data(), dx.data());
  kernels::combine_rows(num_rows, num_classes, q_sum.value().data(), q.value().data(),
                        dy.value().data(), dx.data());
  return Tensor(std::move(dx));
}

}  // namespace

Tensor reduce(const Tensor& losses, Reduction reduction) {
  if (reduction == Reduction::kNone) return losses;
  return reduction == Reduction::kSum ? sum(losses) : mean(losses);
}

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  check(x.shape() == target.shape(), "mse_loss: shapes must be equal, got ", x.shape(), " and ",
        target.shape());
  if (reduction == Reduction::kNone) return pow(x - target, 2);
  check(reduction == Reduction::kSum || x.size() > 0, "mse_loss: a mean needs an element, got ",
        x.shape());
  const Real c = reduction == Reduction::kSum ? Real(1) : 1 / static_cast<Real>(x.size());
  const double squares =
      kernels::squared_distance(x.size(), x.value().data(), target.value().data());
  return record("mse_loss", {x, target}, full({}, c * static_cast<Real>(squares)),
                [x, target, c](const Tensor&, const Tensor& dy) -> Gradients {
                  Tensor dx;  // dL/dx = 2 c (x - target) dy
                  if (grad_enabled()) {
                    dx = (x - target) * (dy * (2 * c));
                  } else {  // the same in one pass
                    Array d = empty(x.shape());
                    const Real slope = 2 * c * dy.item();
                    const Real *u = x.value().data(), *v = target.value().data();
                    for (std::size_t i = 0; i < d.size(); ++i) d.data()[i] = slope * (u[i] - v[i]);
                    dx = Tensor(std::move(d));
                  }
                  if (!target.requires_grad()) return {dx, {}};
                  return {dx, -dx};  // dL/dtarget = -dL/dx
                });
}

Tensor nll_loss(const Tensor& log_probs, const Indices& targets,
                const CrossEntropyOptions& options) {
  check(options.label_smoothing == 0,
        "nll_loss: has no label_smoothing; use softmax_cross_entropy");
  const Targets t = make_targets("nll_loss", log_probs, targets, options);
  // Only where q counts: log_probs may be -inf elsewhere, and 0 * -inf is NaN.
  const Tensor counted = where(t.q, log_probs, Tensor(full({}, 0)));
  return reduce_weighted(-sum(t.q * counted, {1}), options.reduction, t.weight_sum);
}

Tensor softmax_cross_entropy(const Tensor& logits, const Indices& targets,
                             const CrossEntropyOptions& options) {
  const Targets t = make_targets("softmax_cross_entropy", logits, targets, options);
  const std::size_t num_rows = logits.shape(0), num_classes = logits.shape(1);
  Array log_probs = empty(logits.shape()), losses = full({num_rows}, 0);
  kernels::log_softmax_rows(num_rows, num_classes, logits.value().data(), log_probs.data());
  const Real* q = t.q.value().data();
  for (std::size_t n = 0; n < num_rows; ++n) {
    for (std::size_t i = n * num_classes; i < (n + 1) * num_classes; ++i) {
      if (q[i] != 0) losses.data()[n] -= q[i] * log_probs.data()[i];
    }
  }
  const Tensor loss = record("softmax_cross_entropy", {logits}, std::move(losses),
                             [logits, q = t.q](const Tensor&, const Tensor& dy) -> Gradients {
                               const Tensor dx = cross_entropy_gradient(logits, q, dy);
                               return {dx};
                             });
  return reduce_weighted(loss, options.reduction, t.weight_sum);
}

Tensor bce_with_logits(const Tensor& logits, const Array& targets, const Array& pos_weight,
                       Reduction reduction) {
  check(targets.shape() == logits.shape(), "bce_with_logits: needs a target for each logit, got ",
        logits.shape(), " and ", targets.shape());
  const Tensor p = broadcast_to(Tensor(pos_weight), logits.shape()), z(targets);
  Array losses = empty(logits.shape());
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const Real x = logits.value().data()[i], target = targets.data()[i];
    // -log s = log(1 + e^-x) and -log(1 - s) = log(1 + e^x), without overflow
    const Real tail = std::log1p(std::exp(-std::abs(x)));
    losses.data()[i] = p.value().data()[i] * target * (tail + std::max(-x, Real(0))) +
                       (1 - target) * (tail + std::max(x, Real(0)));
  }
  const Tensor loss = record("bce_with_logits", {logits}, std::move(losses),
                             [logits, p, z](const Tensor&, const Tensor& dy) -> Gradients {
                               const Tensor s = sigmoid(logits), not_s = sigmoid(-logits);
                               return {((-z + 1) * s - p * z * not_s) *
                                       dy};  // dL/dlogits = ((1 - z) s - p z (1 - s)) * dy
                             });
  return reduce(loss, reduction);
}

}  // namespace gradwalk
