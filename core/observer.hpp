// Everything that happens passes three places: record() on the way forward, the engine's walk on
// the way back, and the optimizer's step. An Observer is called at each. Ops do not know of it, and
// with nobody watching it costs one comparison.
#pragma once

#include <string>

#include "core/tensor.hpp"

namespace gradwalk {

class Observer {
 public:
  // Watches the thread that made it, where it must end, too; the newest is told first.
  Observer();
  virtual ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // `op` has made ys, most ops only one, from inputs. Called for every op, also where no graph is
  // kept.
  virtual void on_forward(const char* /*op*/, const Tensors& /*inputs*/, const Tensors& /*ys*/) {}
  // The gradient of x is finished: nothing more will be added to it. If x is no leaf, its rule runs
  // next, and what is recorded before on_backward() are the rule's own ops.
  virtual void on_gradient(const Tensor& /*x*/, const Gradient& /*dx*/) {}
  // y's rule has turned dy into dx, one for each of its inputs. For an op with several outputs, y
  // is the op's own node, without a value, and dy holds one gradient for each output, or undefined.
  virtual void on_backward(const Tensor& /*y*/, const Tensors& /*dy*/, const Gradients& /*dx*/) {}

  // An optimizer will move this parameter by its .grad() or, if done, has moved it. `policy` says
  // what happens to rows without a gradient: "lazy", "exact" or "densify"; "dense" if all have one.
  virtual void on_update(const Tensor& /*parameter*/, const char* /*policy*/, bool /*done*/) {}

  // A module that is being made has a new parameter.
  virtual void on_parameter(const std::string& /*name*/, const Tensor& /*parameter*/) {}

  // For record(), the engine, optimizers and modules.
  static Observer* first() { return first_; }
  static void tell_forward(const char* op, const Tensors& inputs, const Tensors& ys);
  static void tell_gradient(const Tensor& x, const Gradient& dx);
  static void tell_backward(const Tensor& y, const Tensors& dy, const Gradients& dx);
  static void tell_update(const Tensor& parameter, const char* policy, bool done);
  static void tell_parameter(const std::string& name, const Tensor& parameter);

 private:
  static thread_local Observer* first_;
  Observer* next_;
};

// Throws std::runtime_error at the first op, rule, sum of gradients or update that turns finite
// numbers into a NaN or an infinity: its name, the element, the inputs' numbers there, the user's
// line.
class [[nodiscard]] NanTrap : public Observer {
 public:
  void on_forward(const char* op, const Tensors& inputs, const Tensors& ys) override;
  void on_gradient(const Tensor& x, const Gradient& dx) override;
  void on_backward(const Tensor& y, const Tensors& dy, const Gradients& dx) override;
  void on_update(const Tensor& parameter, const char* policy, bool done) override;
};

}  // namespace gradwalk
