// What optimizers share: they change parameters in place, from the gradients that backward() left
// in them. A step touches only the rows that a sparse gradient names: nothing of a table's size is
// swept.
#pragma once

#include <memory>
#include <vector>

#include "core/gradient.hpp"

namespace gradwalk {

// What a row-sparse gradient does to the rows that it does not name.
//
//   kLazy      nothing: values and moments stay, nothing decays; Adam is torch.optim.SparseAdam
//   kDensify   what zeros in a dense gradient do: momentum and decay move all V rows, at their cost
enum class SparsePolicy { kLazy, kDensify };

class Optimizer {
 public:
  // Parameters that require no gradient are left out.
  explicit Optimizer(std::vector<Tensor> parameters, double lr, SparsePolicy policy);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  void step();       // one update; parameters without a gradient stay as they are
  void zero_grad();  // before the next backward(), which adds to what is there
  double lr() const { return lr_; }
  void set_lr(double lr);

 protected:
  // Updates the n numbers of parameter k from `at` on; g is their gradient. `lazy`: they are a row
  // of a table whose other rows may get no update.
  virtual void update(std::size_t k, std::size_t at, std::size_t n, Real* w, const Real* g,
                      bool lazy) = 0;
  virtual void begin_step() {}
  const std::vector<Tensor>& parameters() const { return parameters_; }

 private:
  std::vector<Tensor> parameters_;
  double lr_ = 0;
  SparsePolicy policy_;
};

// State of an optimizer: one zero for each number of a parameter, in memory that the system hands
// out page by page as it is first written, so that rows which never get a gradient cost nothing.
class State {
 public:
  explicit State(std::size_t n);
  Real* data() { return data_.get(); }

 private:
  std::unique_ptr<Real[], void (*)(void*)> data_;
};

}  // namespace gradwalk
