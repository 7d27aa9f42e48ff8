// The steps that a row of a table has missed (SparsePolicy::kExact), many of them made in one.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "core/array.hpp"

namespace gradwalk {

// A step without a gradient, where it is linear, of a number w and its momentum b:
//   w' = ww * w + wb * b
//   b' = bw * w + bb * b
struct LinearStep {
  double ww = 1, wb = 0, bw = 0, bb = 1;
};

// first, then second: the product of their matrices
LinearStep then(const LinearStep& first, const LinearStep& second);
// of n numbers and their momenta; b may be null where wb is 0
void apply(const LinearStep& step, std::size_t n, Real* w, Real* b);
// x *= factor. Zeros are not written: the memory behind them may not have been handed out yet.
void shrink(double factor, std::size_t n, Real* x);

// Steps are remembered by their learning rates: 8 bytes each, and 4 more for the products of blocks
// of 16, 32, 64, ... steps, from which the product of any n steps in a row is put together in
// 32 + 2 log2(n) multiplications. Products, because a quotient of two powers of the momentum would
// have lost its digits.
class MissedSteps {
 public:
  explicit MissedSteps(std::function<LinearStep(double lr)> step) : step_(std::move(step)) {}

  void remember(double lr);      // one step more
  void forget(std::size_t now);  // all of them: the next will be number now + 1
  double lr(std::size_t t) const { return lr_[t - first_ - 1]; }  // of step number t
  LinearStep product(std::size_t from, std::size_t to) const;     // of steps from + 1, ..., to

 private:
  std::function<LinearStep(double lr)> step_;
  std::size_t first_ = 0;  // the number of the last step that is not remembered
  std::vector<double> lr_;
  std::vector<std::vector<LinearStep>> blocks_;  // blocks_[i] are products of 16 * 2^i steps
};

}  // namespace gradwalk
