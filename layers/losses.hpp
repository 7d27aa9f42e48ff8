// Losses. They have no parameters; each is a small object that keeps its options. It returns [], or
// with Reduction::kNone a loss for each target. It throws std::invalid_argument if shapes are other
// than said, and for a mean of nothing.
#pragma once

#include "core/ops.hpp"

namespace gradwalk {

// -log softmax(logits)[target]; formula and options in core/ops.hpp.   logits [N, C], targets [N]
// Throws std::out_of_range for a target outside 0..C-1, std::invalid_argument if class weights are
// not [C] or label_smoothing is not in [0, 1].
// https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
class CrossEntropyLoss {
 public:
  explicit CrossEntropyLoss(CrossEntropyOptions options = {}) : options_(std::move(options)) {}
  Tensor operator()(const Tensor& logits, const Indices& targets) const {
    return softmax_cross_entropy(logits, targets, options_);
  }

 private:
  CrossEntropyOptions options_;
};

// -log_probs[target].   log_probs [N, C], targets [N]
// Throws as CrossEntropyLoss does, and std::invalid_argument if label_smoothing is not 0.
// https://pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
class NLLLoss {
 public:
  explicit NLLLoss(CrossEntropyOptions options = {}) : options_(std::move(options)) {}
  Tensor operator()(const Tensor& log_probs, const Indices& targets) const {
    return nll_loss(log_probs, targets, options_);
  }

 private:
  CrossEntropyOptions options_;
};

// Binary cross-entropy of sigmoid(logits); formula in core/ops.hpp. logits of any shape, targets of
// the same; pos_weight broadcasts to it and weighs the positive term.
// https://pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
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
// https://pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
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
// https://pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
class L1Loss {
 public:
  explicit L1Loss(Reduction reduction = Reduction::kMean) : reduction_(reduction) {}
  Tensor operator()(const Tensor& x, const Tensor& target) const;

 private:
  Reduction reduction_;
};

}  // namespace gradwalk
