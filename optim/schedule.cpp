#include "optim/schedule.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace gradwalk {

LRScheduler::LRScheduler(Optimizer& optimizer, Next next)
    : optimizer_(optimizer), next_(std::move(next)) {
  for (std::size_t g = 0; g < optimizer.num_groups(); ++g) base_.push_back(optimizer.lr(g));
}

void LRScheduler::step() {
  std::vector<double> rates;
  for (std::size_t g = 0; g < base_.size(); ++g) {
    rates.push_back(next_(t_ + 1, optimizer_.lr(g), base_[g]));
    check_options("step", {{message("lr of group ", g), rates[g]}});  // before anything moves
  }
  ++t_;
  for (std::size_t g = 0; g < base_.size(); ++g) optimizer_.set_lr(rates[g], g);
}

StateDict LRScheduler::state_dict() const {
  return {{"last_epoch", bits_of_counts({t_})}, {"base_lrs", bits_of_doubles(base_)}};
}

void LRScheduler::load_state_dict(const StateValues& values) {
  const char* op = "load_state_dict";
  check_values("the schedule's", {{"last_epoch", {1, 4}}, {"base_lrs", {base_.size(), 4}}}, values);
  const std::vector<double> base = doubles_of(op, values.at("base_lrs"));
  for (double lr : base) check_options(op, {{"lr", lr}});
  t_ = counts_of(op, values.at("last_epoch"))[0];
  base_ = base;
}

StepLR::StepLR(Optimizer& optimizer, std::size_t step_size, double gamma)
    : LRScheduler(optimizer, [=](std::size_t t, double lr, double) {
        return t % step_size == 0 ? lr * gamma : lr;
      }) {
  check(step_size > 0, "step_lr: step_size must be positive");
  check_options("step_lr", {{"gamma", gamma}});
}

CosineAnnealingLR::CosineAnnealingLR(Optimizer& optimizer, std::size_t T_max, double eta_min)
    : LRScheduler(optimizer, [=](std::size_t t, double lr, double base) {
        const auto height = [T_max](std::size_t epoch) {
          constexpr double kPi = 3.14159265358979323846;
          return (1 + std::cos(kPi * static_cast<double>(epoch) / static_cast<double>(T_max))) / 2;
        };
        if (t > T_max && (t - 1 - T_max) % (2 * T_max) == 0)  // up from eta_min: no ratio to lr
          return lr + (base - eta_min) * (1 - height(1));
        return eta_min + (lr - eta_min) * height(t) / height(t - 1);
      }) {
  check(T_max > 0, "cosine_annealing_lr: T_max must be positive");
  check_options("cosine_annealing_lr", {{"eta_min", eta_min}});
}

LinearLR::LinearLR(Optimizer& optimizer, double start_factor, double end_factor,
                   std::size_t total_iters)
    : LRScheduler(optimizer, [=](std::size_t t, double lr, double) {
        const auto factor = [=](std::size_t epoch) {
          return start_factor + (end_factor - start_factor) * static_cast<double>(epoch) /
                                    static_cast<double>(total_iters);
        };
        return t > total_iters ? lr : lr * (factor(t) / factor(t - 1));
      }) {
  check(start_factor > 0 && start_factor <= 1 && end_factor >= 0 && end_factor <= 1,
        "linear_lr: start_factor must be in (0, 1] and end_factor in [0, 1], got ", start_factor,
        " and ", end_factor);
  check(total_iters > 0, "linear_lr: total_iters must be positive");
  for (std::size_t g = 0; g < optimizer.num_groups(); ++g)
    optimizer.set_lr(optimizer.lr(g) * start_factor, g);
}

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, ReduceLROnPlateauOptions options)
    : optimizer_(optimizer), options_(options) {
  check_options("reduce_lr_on_plateau", {{"factor", options.factor, 1}, {"eps", options.eps}});
  check_options("reduce_lr_on_plateau",
                {{"threshold", options.threshold}, {"min_lr", options.min_lr}});
}

void ReduceLROnPlateau::step(double metric) {
  const double sign = options_.mode == PlateauMode::kMin ? -1 : 1, score = sign * metric;
  if (score > (options_.threshold_mode == ThresholdMode::kRel
                   ? best_ * (1 + sign * options_.threshold)
                   : best_ + options_.threshold)) {
    best_ = score;
    bad_epochs_ = 0;
  } else {
    ++bad_epochs_;
  }
  if (cooldown_left_ > 0) {
    --cooldown_left_;
    bad_epochs_ = 0;
  }
  if (bad_epochs_ <= options_.patience) return;
  for (std::size_t g = 0; g < optimizer_.num_groups(); ++g) {
    const double lr = optimizer_.lr(g), reduced = std::max(lr * options_.factor, options_.min_lr);
    if (lr - reduced > options_.eps) optimizer_.set_lr(reduced, g);
  }
  cooldown_left_ = options_.cooldown;
  bad_epochs_ = 0;
}

StateDict ReduceLROnPlateau::state_dict() const {
  return {{"best", bits_of_doubles({best_})},
          {"bad_epochs", bits_of_counts({bad_epochs_, cooldown_left_})}};
}

void ReduceLROnPlateau::load_state_dict(const StateValues& values) {
  const char* op = "load_state_dict";
  check_values("the schedule's", {{"best", {1, 4}}, {"bad_epochs", {2, 4}}}, values);
  const double best = doubles_of(op, values.at("best"))[0];
  check(!std::isnan(best), op, ": the best metric must not be NaN");
  const auto epochs = counts_of(op, values.at("bad_epochs"));
  best_ = best;
  bad_epochs_ = epochs[0];
  cooldown_left_ = epochs[1];
}

}  // namespace gradwalk
