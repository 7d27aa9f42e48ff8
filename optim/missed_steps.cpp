#include "optim/missed_steps.hpp"

namespace gradwalk {
namespace {

constexpr std::size_t kSmallest = 16;

// of a block; level 0 is a single step, level i + 1 is blocks_[i]
std::size_t length(std::size_t level) { return level == 0 ? 1 : kSmallest << (level - 1); }

}  // namespace

LinearStep then(const LinearStep& a, const LinearStep& b) {
  return {b.ww * a.ww + b.wb * a.bw, b.ww * a.wb + b.wb * a.bb,  //
          b.bw * a.ww + b.bb * a.bw, b.bw * a.wb + b.bb * a.bb};
}

void apply(const LinearStep& step, std::size_t n, Real* __restrict w, Real* __restrict b) {
  const Real ww = static_cast<Real>(step.ww), wb = static_cast<Real>(step.wb),
             bw = static_cast<Real>(step.bw), bb = static_cast<Real>(step.bb);
  if (!b) {
    for (std::size_t i = 0; i < n; ++i) w[i] *= ww;
    return;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const Real before = w[i];
    w[i] = ww * before + wb * b[i];
    b[i] = bw * before + bb * b[i];
  }
}

void shrink(double factor, std::size_t n, Real* x) {
  for (std::size_t i = 0; i < n; ++i) {
    if (x[i] != 0) x[i] *= static_cast<Real>(factor);
  }
}

void MissedSteps::remember(double lr) {
  lr_.push_back(lr);
  const std::size_t n = lr_.size();
  for (std::size_t level = 1; n % length(level) == 0; ++level) {
    if (blocks_.size() < level) blocks_.emplace_back();
    LinearStep block;
    if (level == 1) {
      for (std::size_t i = n - kSmallest; i < n; ++i) block = then(block, step_(lr_[i]));
    } else {
      const std::vector<LinearStep>& halves = blocks_[level - 2];
      block = then(halves[halves.size() - 2], halves.back());
    }
    blocks_[level - 1].push_back(block);
  }
}

void MissedSteps::forget(std::size_t now) {
  first_ = now;
  lr_.clear();
  blocks_.clear();
}

LinearStep MissedSteps::product(std::size_t from, std::size_t to) const {
  LinearStep all;
  for (std::size_t i = from - first_, end = to - first_; i < end;) {
    std::size_t level = blocks_.size();  // of the longest block that begins here and ends in time
    while (i % length(level) != 0 || i + length(level) > end) --level;
    all = then(all, level == 0 ? step_(lr_[i]) : blocks_[level - 1][i / length(level)]);
    i += length(level);
  }
  return all;
}

}  // namespace gradwalk
