// Learning rates that change from epoch to epoch, in every parameter group of an optimizer. Each
// schedule computes the next rate from the current one, so that several can be chained: a warm-up
// times a decay is warmup.step(); decay.step().
// Constructors throw std::invalid_argument for numbers outside of the bounds that are given below.
#pragma once

#include "optim/optimizer.hpp"

namespace gradwalk {

// The base of the schedules below that need nothing but the epoch.
// https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LRScheduler.html
class LRScheduler {
 public:
  // next(t, lr, base) is the rate after epoch t, from the one before it, lr, and the one when the
  // schedule was made, base. The optimizer must outlive the schedule.
  using Next = std::function<double(std::size_t t, double lr, double base)>;
  LRScheduler(Optimizer& optimizer, Next next);
  LRScheduler(const LRScheduler&) = delete;
  LRScheduler& operator=(const LRScheduler&) = delete;

  // At the end of epoch number t = 1, 2, ..., after the optimizer's last step. Throws as set_lr()
  // does.
  void step();
  // "last_epoch", "base_lrs". The rates themselves are in the optimizer's state. Loading throws
  // std::invalid_argument for another one's state; then nothing has changed.
  StateDict state_dict() const;
  void load_state_dict(const StateValues& values);

 private:
  Optimizer& optimizer_;
  Next next_;
  std::vector<double> base_;  // of each group
  std::size_t t_ = 0;
};

// lr *= gamma after every step_size epochs; step_size >= 1, gamma >= 0
// https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html
class StepLR : public LRScheduler {
 public:
  StepLR(Optimizer& optimizer, std::size_t step_size, double gamma = 0.1);
};

// lr = eta_min + (base - eta_min) * (1 + cos(pi t / T_max)) / 2: down in T_max epochs, up in T_max
// Bounds are T_max >= 1, eta_min >= 0.
// If it is chained with a LinearLR, make it first: that one changes base.
// https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html
class CosineAnnealingLR : public LRScheduler {
 public:
  CosineAnnealingLR(Optimizer& optimizer, std::size_t T_max, double eta_min = 0);
};

// Warm-up. lr = base * f; f goes evenly from start_factor to end_factor in total_iters epochs.
// Bounds are 0 < start_factor <= 1, 0 <= end_factor <= 1, total_iters >= 1.
// https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html
class LinearLR : public LRScheduler {
 public:
  explicit LinearLR(Optimizer& optimizer, double start_factor = 1.0 / 3, double end_factor = 1,
                    std::size_t total_iters = 5);
};

enum class PlateauMode { kMin, kMax };    // is a metric better that is smaller, or greater?
enum class ThresholdMode { kRel, kAbs };  // by a share of the best, or by a number

// What counts as better, how long to wait, and how far to go down. Bounds are 0 <= factor < 1; no
// number is negative.
struct ReduceLROnPlateauOptions {
  PlateauMode mode = PlateauMode::kMin;
  double factor = 0.1;
  std::size_t patience = 10;
  double threshold = 1e-4;
  ThresholdMode threshold_mode = ThresholdMode::kRel;
  std::size_t cooldown = 0;
  double min_lr = 0;
  double eps = 1e-8;
};

// lr = max(lr * factor, min_lr) once the metric has not been better than the best one, by more than
// threshold, for more than `patience` epochs in a row. After that `cooldown` epochs do not count.
// A change of eps or less is left out.
// https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
class ReduceLROnPlateau {
 public:
  explicit ReduceLROnPlateau(Optimizer& optimizer, ReduceLROnPlateauOptions options = {});
  void step(double metric);      // at the end of an epoch
  StateDict state_dict() const;  // "best", and how many epochs have been bad or are to cool down
  void load_state_dict(const StateValues& values);  // as that of LRScheduler

 private:
  Optimizer& optimizer_;
  ReduceLROnPlateauOptions options_;
  double best_ =
      -std::numeric_limits<double>::infinity();  // metric, or -metric where less is better
  std::size_t bad_epochs_ = 0, cooldown_left_ = 0;
};

}  // namespace gradwalk
