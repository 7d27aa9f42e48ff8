// Losses on class scores. Formulas and options in ops.hpp.
#include <utility>

#include "core/error.hpp"
#include "core/machine/fast_math.hpp"
#include "core/machine/loop.hpp"
#include "core/ops.hpp"

namespace gradwalk {
namespace {

// The losses are sums over q . log probabilities. Row n of q [N, C] holds own[n] at its target and,
// with label smoothing, shared[c] at each class c besides; nothing if the target is ignored.
struct Targets {
  std::vector<std::size_t> target;  // [N]   num_classes: ignored
  Array own;                        // [N]
  Array shared;                     // [C], or empty
  std::size_t num_classes;
  Real weight_sum = 0;  // what a mean divides by

  bool ignored(std::size_t n) const { return target[n] == num_classes; }
  Tensor q() const {
    Array q = full({target.size(), num_classes}, 0);
    for (std::size_t n = 0; n < target.size(); ++n) {
      if (ignored(n)) continue;
      Real* row = q.data() + n * num_classes;
      std::copy(shared.begin(), shared.end(), row);
      row[target[n]] += own(n);
    }
    return Tensor(std::move(q));
  }
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
  Targets t{{}, full({num_rows}, 0), empty({eps > 0 ? num_classes : 0}), num_classes};
  for (std::size_t c = 0; c < t.shared.size(); ++c)
    t.shared(c) = weight(c) * static_cast<Real>(eps / static_cast<double>(num_classes));
  for (std::size_t n = 0; n < num_rows; ++n) {
    const std::int64_t target = targets.data()[n];
    t.target.push_back(num_classes);
    if (target == options.ignore_index) continue;
    check<std::out_of_range>(target >= 0 && static_cast<std::size_t>(target) < num_classes, op,
                             ": target ", target, " at [", n, "] is outside ", num_classes,
                             " classes");
    t.target[n] = static_cast<std::size_t>(target);
    t.own(n) = weight(t.target[n]) * static_cast<Real>(1 - eps);
    t.weight_sum += weight(t.target[n]);
  }
  check(options.reduction != Reduction::kMean || t.weight_sum > 0, op,
        ": a mean needs a target that is not ignored and has a weight; there are ", num_rows,
        " rows");
  return t;
}

// losses [N] by the mean over weights, the sum, or as they are
Tensor reduce_weighted(const Tensor& losses, Reduction reduction, Real weight_sum) {
  if (reduction == Reduction::kNone) return losses;
  return reduction == Reduction::kSum ? sum(losses) : sum(losses) * (1 / weight_sum);
}

// Of each row of the logits its maximum, and log sum_c exp(x_c - maximum): with both,
// log p_c = (x_c - top) - log_sum loses no digits.
struct LogSums {
  Array top, log_sum;  // [N]
};

// dL/dlogits = (softmax(logits) * sum_c q - q) * dy
Tensor cross_entropy_gradient(const Tensor& logits, const Targets& t, const LogSums& sums,
                              const Tensor& dy) {
  const std::size_t C = t.num_classes;
  if (grad_enabled()) {
    const Tensor q = t.q(), q_sum = sum(q, {1}, true);
    const Tensor dx = (softmax(logits, 1) * q_sum - q) * reshape(dy, q_sum.shape());
    return where(q_sum, dx, Tensor(full({}, 0)));  // a row that does not count may hold NaN
  }
  Array dx = full(logits.shape(), 0);  // the same in one pass
  const Real shared_sum = kernels::sum(t.shared.size(), t.shared.data());
  // read here: a value that has changed is refused in this thread only
  const Real *xs = logits.value().data(), *dys = dy.value().data();
  parallel_ranges(
      t.target.size(), kernels::kGrain / (4 * C + 1), [&](std::size_t begin, std::size_t end) {
        for (std::size_t n = begin; n < end; ++n) {
          if (t.ignored(n)) continue;
          const Real *x = xs + n * C, top = sums.top(n), log_sum = sums.log_sum(n), dy_n = dys[n];
          const Real scale = (t.own(n) + shared_sum) * dy_n;
          Real* d = dx.data() + n * C;
          for (std::size_t c = 0; c < C; ++c) d[c] = kernels::exp1((x[c] - top) - log_sum) * scale;
          kernels::add_scaled(t.shared.size(), -dy_n, t.shared.data(), d);
          d[t.target[n]] -= t.own(n) * dy_n;
        }
      });
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
  // dL/dx = 2 c (x - target) dy = -dL/dtarget; for dy = 1 it is computed together with the loss
  const bool wanted = grad_enabled() && (x.requires_grad() || target.requires_grad());
  Array d = empty(wanted ? x.shape() : Shape{0});
  const double squares = kernels::squared_distance(
      x.size(), x.value().data(), target.value().data(), 2 * c, wanted ? d.data() : nullptr);
  return record("mse_loss", {x, target}, full({}, c * static_cast<Real>(squares)),
                [x, target, c, d = Tensor(std::move(d))](const Tensor&, const Tensor& dy) mutable {
                  Tensor dx;
                  if (grad_enabled() || !d.defined())
                    dx = (x - target) * (dy * (2 * c));
                  else  // d is handed out, not copied: a second walk computes it again
                    dx = dy.item() == 1 ? std::exchange(d, {}) : d * dy.item();
                  return target.requires_grad() ? Gradients{dx, -dx} : Gradients{dx, {}};
                });
}

Tensor nll_loss(const Tensor& log_probs, const Indices& targets,
                const CrossEntropyOptions& options) {
  check(options.label_smoothing == 0,
        "nll_loss: has no label_smoothing; use softmax_cross_entropy");
  const Targets t = make_targets("nll_loss", log_probs, targets, options);
  Array losses = full({t.target.size()}, 0);
  for (std::size_t n = 0; n < losses.size(); ++n) {  // only where it counts: 0 * -inf is NaN
    if (t.own(n) != 0) losses(n) -= t.own(n) * log_probs.value()(n, t.target[n]);
  }
  const Tensor loss = record("nll_loss", {log_probs}, std::move(losses),
                             [t](const Tensor&, const Tensor& dy) -> Gradients {
                               const std::size_t N = t.target.size();
                               if (grad_enabled()) {
                                 const Tensor q = t.q();  // dL/dlog_probs = -q * dy
                                 return {where(q, q * reshape(-dy, {N, 1}), Tensor(full({}, 0)))};
                               }
                               Array d = full({N, t.num_classes}, 0);  // the same without a dense q
                               const Real* dys = dy.value().data();
                               for (std::size_t n = 0; n < N; ++n)
                                 if (t.own(n) != 0) d(n, t.target[n]) = -t.own(n) * dys[n];
                               return {Tensor(std::move(d))};
                             });
  return reduce_weighted(loss, options.reduction, t.weight_sum);
}

Tensor softmax_cross_entropy(const Tensor& logits, const Indices& targets,
                             const CrossEntropyOptions& options) {
  const Targets t = make_targets("softmax_cross_entropy", logits, targets, options);
  const std::size_t N = t.target.size(), C = t.num_classes;
  LogSums sums{empty({N}), empty({N})};
  kernels::log_sum_rows(N, C, logits.value().data(), sums.top.data(), sums.log_sum.data());
  Array losses = full({N}, 0);
  parallel_ranges(N, kernels::kGrain / (C + 1), [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      if (t.ignored(n)) continue;
      const Real *x = logits.value().data() + n * C, top = sums.top(n), log_sum = sums.log_sum(n);
      // only what counts: 0 * -inf is NaN
      if (t.own(n) != 0) losses(n) -= t.own(n) * ((x[t.target[n]] - top) - log_sum);
      losses(n) -= static_cast<Real>(
          sum_terms(0, t.shared.size(), [x, top, log_sum, shared = t.shared.data()](std::size_t c) {
            return shared[c] == 0 ? 0 : shared[c] * ((x[c] - top) - log_sum);
          }));
    }
  });
  const Tensor loss = record("softmax_cross_entropy", {logits}, std::move(losses),
                             [logits, t, sums](const Tensor&, const Tensor& dy) -> Gradients {
                               const Tensor dx = cross_entropy_gradient(logits, t, sums, dy);
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
  for_each(losses.size(), [x = logits.value().data(), pos = p.value().data(), t = z.value().data(),
                           y = losses.data()](std::size_t i) {
    // -log s = log(1 + e^-x) and -log(1 - s) = log(1 + e^x)
    y[i] = pos[i] * t[i] * kernels::softplus1(-x[i]) + (1 - t[i]) * kernels::softplus1(x[i]);
  });
  const Tensor loss = record(
      "bce_with_logits", {logits}, std::move(losses),
      [logits, p, z](const Tensor&, const Tensor& dy) -> Gradients {
        if (grad_enabled()) {
          const Tensor s = sigmoid(logits), not_s = sigmoid(-logits);
          // dL/dlogits = ((1 - z) s - p z (1 - s)) * dy
          return {((-z + 1) * s - p * z * not_s) * dy};
        }
        Array dx = empty(logits.shape());  // the same in one pass
        for_each(dx.size(), [x = logits.value().data(), pos = p.value().data(),
                             t = z.value().data(), d = dy.value().data(),
                             to = dx.data()](std::size_t i) {
          to[i] =
              ((1 - t[i]) * kernels::sigmoid1(x[i]) - pos[i] * t[i] * kernels::sigmoid1(-x[i])) *
              d[i];
        });
        return {Tensor(std::move(dx))};
      });
  return reduce(loss, reduction);
}

}  // namespace gradwalk
