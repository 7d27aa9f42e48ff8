// What optimizers share: they change parameters in place, from the gradients that backward() left
// in them. A step touches only the rows that a sparse gradient names: nothing of a table's size is
// swept.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "core/gradient.hpp"
#include "optim/missed_steps.hpp"

namespace gradwalk {

// What a row-sparse gradient does to the rows that it does not name (docs/sparse-gradients.md).
//
//   kLazy      nothing: values and moments stay, nothing decays; Adam is torch.optim.SparseAdam
//   kExact     what zeros in a dense gradient do, but later: a row takes the steps it has missed
//              when it is next read, changed or named. The values are the dense optimizer's to
//              rounding; the cost depends on the rows named and read, not on V
//   kDensify   what zeros in a dense gradient do, at once: momentum and decay move all V rows, at
//              their cost
enum class SparsePolicy { kLazy, kExact, kDensify };

// Numbers of an optimizer's own, one for each number or row of a parameter: zeros in memory that
// the system hands out page by page as it is first written, so that rows which never get a gradient
// cost nothing.
template <class T>
class Zeros {
 public:
  explicit Zeros(std::size_t n) : data_(static_cast<T*>(map_zeros(bytes(n))), Unmap{bytes(n)}) {}
  T* data() { return data_.get(); }

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(T* block) const { unmap_zeros(block, bytes); }
  };
  static std::size_t bytes(std::size_t n) { return (n + 1) * sizeof(T); }  // + 1: never nothing
  std::unique_ptr<T[], Unmap> data_;
};

using State = Zeros<Real>;

// How rows fared that no gradient named, counted since the optimizer was made.
struct Unnamed {
  std::size_t rows = 0;      // how often one was updated, by kDensify, or caught up, under kExact
  std::size_t replayed = 0;  // the updates that this took, where kExact goes step by step
};

// Parameters with settings of their own; where one is left out the optimizer's holds.
struct ParamGroup {
  std::vector<Tensor> params;
  std::optional<double> lr = {}, weight_decay = {};
};

class Optimizer {
 public:
  // At least one parameter must require a gradient; one that does not stays as it is until it does.
  // None may be listed twice, in one group or in two.
  Optimizer(const std::vector<ParamGroup>& groups, double lr, double weight_decay,
            SparsePolicy policy);
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One update; parameters without a gradient stay as they are. Under kExact a table can have one
  // optimizer at a time: std::logic_error.
  void step();
  void zero_grad();  // before the next backward(), which adds to what is there
  std::size_t num_groups() const { return groups_.size(); }
  double lr(std::size_t group = 0) const;
  void set_lr(double lr);  // of all groups
  void set_lr(double lr, std::size_t group);
  const Unnamed& unnamed() const { return unnamed_; }

 protected:
  // The constants of parameter k's step number t = 1, 2, ... at the learning rate lr.
  virtual void begin_step(std::size_t /*k*/, double /*lr*/, std::size_t /*t*/) {}
  // Updates the n numbers of parameter k from `at` on; g is their gradient. `lazy`: they are a row
  // of a table whose other rows may get no update. An optimizer of one's own calls settle() in its
  // destructor, or rows under kExact stay behind for ever.
  virtual void update(std::size_t k, std::size_t at, std::size_t n, Real* w, const Real* g,
                      bool lazy) = 0;

  // What kExact asks. As it stands here a row replays all the steps it has missed, each an update
  // with a gradient of zeros, which is right for every optimizer; these make it cheaper.
  //
  // Does a gradient of zeros change a row of parameter k, or its state?
  virtual bool moves_unnamed(std::size_t /*k*/) const { return true; }
  // After this many missed steps of a row the others can be made in one: skip().
  virtual std::size_t replay_limit(std::size_t /*k*/, std::size_t /*at*/, std::size_t /*n*/) {
    return std::numeric_limits<std::size_t>::max();
  }
  // What a missed step at the learning rate lr does to a number and its momentum.
  virtual LinearStep missed_step(std::size_t /*k*/, double /*lr*/) const { return {}; }
  // Takes `count` missed steps at once; `together` is the product of their missed_step().
  virtual void skip(std::size_t /*k*/, std::size_t /*at*/, std::size_t /*n*/, Real* /*w*/,
                    const LinearStep& /*together*/, std::size_t /*count*/) {}
  // All rows take the steps they have missed: for destructors, because ~Optimizer comes too late to
  // ask a derived class.
  void settle();

  const std::vector<Tensor>& parameters() const { return parameters_; }
  double weight_decay(std::size_t k) const { return groups_[group_[k]].weight_decay; }
  double highest_lr(std::size_t k) const { return groups_[group_[k]].highest_lr; }  // so far

 private:
  struct Group {
    double weight_decay, lr = 0, highest_lr = 0;
  };
  // A table whose rows may be behind.
  struct Table {
    Table(std::size_t num_rows, std::size_t width, MissedSteps steps);
    std::size_t num_rows, width;
    Zeros<std::size_t> last;  // the number of the last step that each row has taken; 0: see `all`
    std::size_t all = 0;      // the number of the last step that every row has taken
    bool fresh = true;        // where `last` is 0 there was never a gradient
    MissedSteps missed;       // the steps since `all`
    std::vector<Real> zeros;  // [width], the gradient of a missed step
  };
  void check_fits(std::size_t k) const;
  void step_all(std::size_t k, const Tensor& g);
  void step_rows(std::size_t k, const RowSparse& g);
  void open_table(std::size_t k, std::size_t num_rows);
  void settle(std::size_t k, const Indices* rows);
  void catch_up(std::size_t k, std::size_t row);

  std::vector<Group> groups_;
  std::vector<Tensor> parameters_;
  std::vector<std::size_t> group_, sizes_, steps_;  // of each parameter
  std::vector<std::unique_ptr<Table>> tables_;  // of each parameter; null: no row is ever behind
  SparsePolicy policy_;
  Unnamed unnamed_;
};

}  // namespace gradwalk
