// An Optimizer changes parameters in place, from the gradients that backward() has left in them. It
// owns an UpdateRule, the formula, and calls it for the numbers that have a gradient: for a
// row-sparse one that is a few rows, and nothing of the table's size is swept. In formulas w is any
// number of a parameter, and g that of its gradient; shapes are free.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/gradient.hpp"
#include "core/machine/memory.hpp"
#include "core/state.hpp"

namespace gradwalk {

// What happens to the rows that a row-sparse gradient does not touch (docs/sparse-gradients.md).
//
//   kLazy      nothing: values and moments stay, nothing decays; Adam is torch.optim.SparseAdam
//   kExact     what a gradient of zeros does, but later: a row takes the steps it missed when it is
//              next read, changed or touched. The values are the dense optimizer's to rounding; the
//              cost depends on the rows touched and read, not on V
//   kDensify   what a gradient of zeros does, at once: momentum and decay move all V rows
enum class SparsePolicy { kLazy, kExact, kDensify };

// How often rows without a gradient were moved since the optimizer was made.
struct SkippedRows {
  std::size_t rows = 0;      // one counts each time kDensify updates it or kExact catches it up
  std::size_t replayed = 0;  // the updates that kExact made for them, where it goes step by step
};

// Parameters with their own settings; the optimizer's hold where one is left out.
struct ParamGroup {
  Tensors params;
  std::optional<double> lr = {}, weight_decay = {};
};

// What an optimizer is made for: tensors, or groups of them.
struct ParamGroups : std::vector<ParamGroup> {
  ParamGroups(const std::vector<ParamGroup>& groups) : vector(groups) {}
  ParamGroups(std::initializer_list<ParamGroup> groups) : vector(groups) {}
  ParamGroups(const Tensors& params) : vector{{params}} {}
  ParamGroups(std::initializer_list<Tensor> params) : vector{{params}} {}
};

// The formula of an optimizer, and its state.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  // Before parameter k's step number t = 1, 2, ...: computes what is the same for all its numbers.
  virtual void begin_step(std::size_t /*k*/, double lr, double weight_decay, std::size_t /*t*/) {
    rate_ = static_cast<Real>(lr);
    decay_ = static_cast<Real>(weight_decay);
  }
  // Updates the n numbers of parameter k from `at` on: w, with their gradient g. Several threads
  // may call it at once, each for other numbers. `lazy`: they are a row of a table under kLazy.
  virtual void update(std::size_t k, std::size_t at, std::size_t n, Real* w, const Real* g,
                      bool lazy) = 0;
  // What update() keeps for the numbers of parameter k, by PyTorch's names where it has one. It
  // goes into files, and comes back.
  struct Kept {
    const char* name;
    Real* values;  // one for each of them
  };
  virtual std::vector<Kept> state(std::size_t k) = 0;

 protected:
  Real rate_ = 0, decay_ = 0;
};

class ExactRows;

class Optimizer {
 public:
  // At least one parameter must require a gradient; one that does not stays as it is until it does.
  // None may be listed twice. Otherwise, and if an lr or weight_decay is negative or not finite, it
  // throws std::invalid_argument; std::logic_error for an undefined parameter.
  Optimizer(const ParamGroups& groups, double lr, double weight_decay, SparsePolicy policy,
            std::unique_ptr<UpdateRule> rule);
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One update; parameters without a gradient stay as they are. Throws before anything has moved:
  // what check_gradient() throws; std::logic_error for a parameter that is no leaf or has another
  // shape than it had, and under kExact, where a table can have one optimizer at a time.
  void step();
  void zero_grad();  // before the next backward(), which adds to what is there
  std::size_t num_groups() const { return groups_.size(); }
  // These throw std::out_of_range for a group that is not there, and std::invalid_argument for an
  // lr that is negative or not finite.
  double lr(std::size_t group = 0) const;
  void set_lr(double lr);  // of all groups
  void set_lr(double lr, std::size_t group);
  SkippedRows skipped_rows() const;

  // What it has learnt, as a copy: "lr" of each group, "step" of each parameter, and of number 0,
  // 1, ... what its rule keeps, as "0.exp_avg". Under kExact also what the rows of a table owe,
  // together with the table as it stands, which is not read by that: nothing catches up.
  // https://pytorch.org/docs/stable/generated/torch.optim.Optimizer.state_dict.html
  StateDict state_dict() const;
  // Goes on from there, in the same bits, if it was made with the same options for parameters of
  // the same shapes. A table whose rows owe steps gets its values with them, whether or not the
  // module's were loaded before. Throws std::invalid_argument for another one's state, and
  // std::logic_error where step() does; then nothing has changed.
  void load_state_dict(const StateValues& values);

 private:
  struct Group {
    double lr, weight_decay;
  };
  struct Parameter {
    Tensor tensor;
    std::size_t group;
    Shape shape;
    std::size_t steps = 0;
  };
  void step_all(std::size_t k, const Tensor& g);
  void step_rows(std::size_t k, const RowSparse& g);

  std::vector<Group> groups_;
  std::vector<Parameter> parameters_;
  SparsePolicy policy_;
  std::size_t densified_ = 0;  // SkippedRows::rows of kDensify
  std::unique_ptr<UpdateRule> rule_;
  std::unique_ptr<ExactRows> exact_;  // destroyed before rule_, which it still calls
};

// ---- for those who write a rule ----

// An array of zeros for a rule's state. The system hands out its memory page by page when it is
// first written, so that rows that never get a gradient cost nothing.
template <class T>
class Zeros {
 public:
  explicit Zeros(std::size_t n) {
    const std::size_t bytes = (n + 1) * sizeof(T);  // + 1: never nothing
    data_ = {static_cast<T*>(map_zeros(bytes)), [bytes](T* block) { unmap_zeros(block, bytes); }};
  }
  T* data() const { return data_.get(); }

 private:
  std::unique_ptr<T, std::function<void(T*)>> data_;
};
std::vector<Zeros<Real>> zeros_like(const ParamGroups& groups);  // for each parameter

struct Option {
  std::string name;
  double value, end = std::numeric_limits<double>::infinity();
};
// Each must be in [0, end) and no more than a Real can hold, or std::invalid_argument is thrown.
void check_options(const char* op, const std::vector<Option>& options);
// The parameter's gradient must fit it, if there is one, or std::invalid_argument is thrown;
// std::out_of_range for a row outside the table.
void check_gradient(const char* op, const Tensor& parameter);

}  // namespace gradwalk
