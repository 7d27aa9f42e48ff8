// Losses. They have no parameters; each is a small object that keeps its options.
#pragma once

#include "core/ops.hpp"

namespace gradwalk {

// -log softmax(logits)[target]; formula and options in core/ops.hpp.   logits [N, C], targets [N]
class CrossEntropyLoss {
 public:
  explicit CrossEntropyLoss(CrossEntropyOptions options = {}) : options_(std::move(options)) {}
  Tensor operator()(const Tensor& logits, const Indices& targets) const {
    return softmax_cross_entropy(logits, targets, options_);
  }

 private:
  CrossEntropyOptions options_;
};

// -log_probs[target].   log_probs [N, C], targets [N]; label_smoothing must be 0
class NLLLoss {
 public:
  explicit NLLLoss(CrossEntropyOptions options = {}) : options_(std::move(options)) {}
  Tensor operator()(const Tensor& log_probs, const Indices& targets) const {
    return nll_loss(log_probs, targets, options_);
  }

 private:
  CrossEntropyOptions options_;
};

// Binary cross-entropy of sigmoid(logits); pos_weight broadcasts to the logits and weighs the
// positive term.
class BCEWithLogitsLoss {
 public:
  explicit BCEWithLogitsLoss(Reduction reduction = Reduction::kMean, Array pos_weight = full({}, 1))
      : reduction_(reduction), pos_weight_(std::move(pos_weight)) {}
  Tensor operator()(const Tensor& logits, const Array& targets) const {
    return bce_with_logits(logits, targets, pos_weight_, reduction_);
  }

 private:
  Reduction reduction_;
  Array pos_weight_;
};

// (x - target)^2, shapes equal
class MSELoss {
 public:
  explicit MSELoss(Reduction reduction = Reduction::kMean) : reduction_(reduction) {}
  Tensor operator()(const Tensor& x, const Tensor& target) const {
    return mse_loss(x, target, reduction_);
  }

 private:
  Reduction reduction_;
};

// |x - target|, shapes equal
class L1Loss {
 public:
  explicit L1Loss(Reduction reduction = Reduction::kMean) : reduction_(reduction) {}
  Tensor operator()(const Tensor& x, const Tensor& target) const;

 private:
  Reduction reduction_;
};

}  // namespace gradwalk
