// Two doors: everything that happens passes record() on the way forward and the engine's walk on
// the way back. An Observer stands at both; ops and layers do not know of it, and with nobody
// watching a door costs one comparison.
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

  // `op` has made y from inputs. Called for every op, also where no graph is kept.
  virtual void on_forward(const char* /*op*/, const std::vector<Tensor>& /*inputs*/,
                          const Tensor& /*y*/) {}
  // y's rule has turned dy into dx, one for each of its inputs.
  virtual void on_backward(const Tensor& /*y*/, const Tensor& /*dy*/, const Gradients& /*dx*/) {}

  static Observer* first() { return first_; }
  Observer* next() const { return next_; }

 private:
  static thread_local Observer* first_;
  Observer* next_;
};

// Prints one line for each op, as it happens:
//   #7 mul [2, 3] <- #5 [2, 3], #6 [3]
//   #7 mul backward |dy| 1.414 -> |d#5| 0.5, |d#6| 2 (3 rows of 100)
class PrintedTape : public Observer {
 public:
  explicit PrintedTape(std::ostream& out) : out_(out) {}
  void on_forward(const char* op, const std::vector<Tensor>& inputs, const Tensor& y) override;
  void on_backward(const Tensor& y, const Tensor& dy, const Gradients& dx) override;

 private:
  std::ostream& out_;
};

// Throws std::runtime_error at the first op, forward or backward, that turns finite numbers into a
// NaN or an infinity.
class NanTrap : public Observer {
 public:
  void on_forward(const char* op, const std::vector<Tensor>& inputs, const Tensor& y) override;
  void on_backward(const Tensor& y, const Tensor& dy, const Gradients& dx) override;
};

}  // namespace gradwalk
