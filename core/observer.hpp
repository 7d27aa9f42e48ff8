// Everything that happens passes two places: record() on the way forward, and the engine's walk on
// the way back. An Observer is called at both. Ops and layers do not know of it, and with nobody
// watching it costs one comparison.
#pragma once

#include <iosfwd>

#include "core/tensor.hpp"

namespace gradwalk {

class Observer {
 public:
  Observer();  // watches from here on; the newest observer is told first
  virtual ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // `op` has made ys, most ops only one, from inputs. Called for every op, also where no graph is
  // kept.
  virtual void on_forward(const char* /*op*/, const Tensors& /*inputs*/, const Tensors& /*ys*/) {}
  // y's rule has turned dy into dx, one for each of its inputs. For an op with several outputs, y
  // is the op's own node, without a value, and dy holds one gradient for each output, or undefined.
  virtual void on_backward(const Tensor& /*y*/, const Tensors& /*dy*/, const Gradients& /*dx*/) {}

  // For record() and the engine.
  static Observer* first() { return first_; }
  static void tell_forward(const char* op, const Tensors& inputs, const Tensors& ys);
  static void tell_backward(const Tensor& y, const Tensors& dy, const Gradients& dx);

 private:
  static thread_local Observer* first_;
  Observer* next_;
};

// Prints one line for each op, as it happens:
//   #7 mul [2, 3] <- #5 [2, 3], #6 [3]
//   #9,#10 two_outputs [2, 3], [2] <- #7 [2, 3]
//   #7 mul backward |dy| 1.414 -> |d#5| 0.5, |d#6| 2 (3 rows of 100)
class [[nodiscard]] PrintedTape : public Observer {
 public:
  explicit PrintedTape(std::ostream& out) : out_(out) {}
  void on_forward(const char* op, const Tensors& inputs, const Tensors& ys) override;
  void on_backward(const Tensor& y, const Tensors& dy, const Gradients& dx) override;

 private:
  std::ostream& out_;
};

// Throws std::runtime_error at the first op, forward or backward, that turns finite numbers into a
// NaN or an infinity.
class [[nodiscard]] NanTrap : public Observer {
 public:
  void on_forward(const char* op, const Tensors& inputs, const Tensors& ys) override;
  void on_backward(const Tensor& y, const Tensors& dy, const Gradients& dx) override;
};

}  // namespace gradwalk
