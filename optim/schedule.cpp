#include "optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace gradwalk {

LRScheduler::LRScheduler(Optimizer& optimizer) : optimizer_(optimizer) {
  for (std::size_t g = 0; g < optimizer.num_groups(); ++g) base_.push_back(optimizer.lr(g));
}

void LRScheduler::step() {
  ++t_;
  for (std::size_t g = 0; g < base_.size(); ++g)
    optimizer_.set_lr(next(t_, optimizer_.lr(g), base_[g]), g);
}

StepLR::StepLR(Optimizer& optimizer, std::size_t step_size, double gamma)
    : LRScheduler(optimizer), step_size_(step_size), gamma_(gamma) {
  check(step_size > 0 && gamma >= 0,
        "step_lr: step_size must be positive and gamma not negative, got ", step_size, " and ",
        gamma);
}

double StepLR::next(std::size_t t, double lr, double) const {
  return t % step_size_ == 0 ? lr * gamma_ : lr;
}

CosineAnnealingLR::CosineAnnealingLR(Optimizer& optimizer, std::size_t T_max, double eta_min)
    : LRScheduler(optimizer), T_max_(T_max), eta_min_(eta_min) {
  check(T_max > 0 && eta_min >= 0,
        "cosine_annealing_lr: T_max must be positive and eta_min not negative, got ", T_max,
        " and ", eta_min);
}

double CosineAnnealingLR::next(std::size_t t, double lr, double base) const {
  const auto height = [this](std::size_t epoch) {
    constexpr double kPi = 3.14159265358979323846;
    return (1 + std::cos(kPi * static_cast<double>(epoch) / static_cast<double>(T_max_))) / 2;
  };
  if (t > T_max_ && (t - 1 - T_max_) % (2 * T_max_) == 0)  // up from eta_min: no ratio to lr
    return lr + (base - eta_min_) * (1 - height(1));
  return eta_min_ + (lr - eta_min_) * height(t) / height(t - 1);
}

LinearLR::LinearLR(Optimizer& optimizer, double start_factor, double end_factor,
                   std::size_t total_iters)
    : LRScheduler(optimizer),
      start_factor_(start_factor),
      end_factor_(end_factor),
      total_iters_(total_iters) {
  check(start_factor > 0 && start_factor <= 1 && end_factor >= 0 && end_factor <= 1,
        "linear_lr: start_factor must be in (0, 1] and end_factor in [0, 1], got ", start_factor,
        " and ", end_factor);
  check(total_iters > 0, "linear_lr: total_iters must be positive");
  for (std::size_t g = 0; g < optimizer.num_groups(); ++g)
    optimizer.set_lr(optimizer.lr(g) * start_factor, g);
}

double LinearLR::factor(std::size_t t) const {
  return start_factor_ +
         (end_factor_ - start_factor_) * static_cast<double>(t) / static_cast<double>(total_iters_);
}

double LinearLR::next(std::size_t t, double lr, double) const {
  return t > total_iters_ ? lr : lr * (factor(t) / factor(t - 1));
}

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, ReduceLROnPlateauOptions options)
    : optimizer_(optimizer),
      options_(options),
      best_(options.mode == PlateauMode::kMin ? std::numeric_limits<double>::infinity()
                                              : -std::numeric_limits<double>::infinity()) {
  check(options.factor >= 0 && options.factor < 1,
        "reduce_lr_on_plateau: factor must be in [0, 1), got ", options.factor);
  check(options.min_lr >= 0, "reduce_lr_on_plateau: min_lr must not be negative, got ",
        options.min_lr);
}

bool ReduceLROnPlateau::is_better(double metric) const {
  const double sign = options_.mode == PlateauMode::kMin ? -1 : 1;
  return sign * metric > sign * (options_.threshold_mode == ThresholdMode::kRel
                                     ? best_ * (1 + sign * options_.threshold)
                                     : best_ + sign * options_.threshold);
}

void ReduceLROnPlateau::step(double metric) {
  if (is_better(metric)) {
    best_ = metric;
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

}  // namespace gradwalk
