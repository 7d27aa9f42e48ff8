// hint 1: The constructor needs one line: weight_ = parameter("weight", full({features}, 1)).
// hint 2: x * x, its mean over the last axis x.dim() - 1 with keepdim, + 1e-5, sqrt; then
//   divide.
// hint 3: return x / sqrt(mean(x * x, {x.dim() - 1}, true) + 1e-5) * weight_;
// why: A layer made of ops needs no rule: each op has its own. It needs names, so that an
//   optimizer finds what to train. check_layer (layers/check_layer.hpp) asks for the rest:
//   derivatives, batches, eval mode, files, learning.
#if ANSWER == 0
class RMSNorm : public Module {
 public:
  explicit RMSNorm(std::size_t features) : weight_(parameter("weight", full({features}, 1))) {}
  Tensor operator()(const Tensor& x) const {
    return x / sqrt(mean(x * x, {x.dim() - 1}, true) + 1e-5) * weight_;
  }

 private:
  Tensor weight_;
};
#elif ANSWER == 1  // says: The sum of x^2 instead of its mean
class RMSNorm : public Module {
 public:
  explicit RMSNorm(std::size_t features) : weight_(parameter("weight", full({features}, 1))) {}
  Tensor operator()(const Tensor& x) const {
    return x / sqrt(sum(x * x, {x.dim() - 1}, true) + 1e-5) * weight_;
  }

 private:
  Tensor weight_;
};
#elif ANSWER == 2  // says: An optimizer and a file see only what
class RMSNorm : public Module {
 public:
  explicit RMSNorm(std::size_t features) : weight_(full({features}, 1), true) {}
  Tensor operator()(const Tensor& x) const {
    return x / sqrt(mean(x * x, {x.dim() - 1}, true) + 1e-5) * weight_;
  }

 private:
  Tensor weight_;
};
#elif ANSWER == 3  // says: each vector has its own, over the last axis
class RMSNorm : public Module {
 public:
  explicit RMSNorm(std::size_t features) : weight_(parameter("weight", full({features}, 1))) {}
  Tensor operator()(const Tensor& x) const { return x / sqrt(mean(x * x) + 1e-5) * weight_; }

 private:
  Tensor weight_;
};
#elif ANSWER == 4  // says: Values are right, derivatives are not
class RMSNorm : public Module {
 public:
  explicit RMSNorm(std::size_t features) : weight_(parameter("weight", full({features}, 1))) {}
  Tensor operator()(const Tensor& x) const {
    return x / sqrt(mean(x * x, {x.dim() - 1}, true) + 1e-5).detach() * weight_;
  }

 private:
  Tensor weight_;
};
#elif ANSWER == 5  // says: cut off by value() or NoGrad
class RMSNorm : public Module {
 public:
  explicit RMSNorm(std::size_t features) : weight_(parameter("weight", full({features}, 1))) {}
  Tensor operator()(const Tensor& x) const {
    return x / sqrt(mean(x * x, {x.dim() - 1}, true) + 1e-5) * weight_.detach();
  }

 private:
  Tensor weight_;
};
#endif
