// What SparsePolicy::kExact needs. A row that gets no gradient still owes the steps in which its
// momentum moves it or its weight decays. It takes them when it is next read or changed: the
// table's node calls ExactRows before.
#pragma once

#include <map>
#include <shared_mutex>

#include "optim/optimizer.hpp"

namespace gradwalk {

// A step with a gradient of zeros, where it is linear, of a number w and its momentum b:
//   w' = ww * w + wb * b
//   b' = bw * w + bb * b
struct LinearStep {
  double ww = 1, wb = 0, bw = 0, bb = 1;
};
// first, then second: the product of their matrices
LinearStep then(const LinearStep& first, const LinearStep& second);
// of n numbers and their momenta
void apply(const LinearStep& step, std::size_t n, Real* w, Real* b);
// x *= factor. Zeros are not written: the memory behind them may not have been handed out yet.
void shrink(double factor, std::size_t n, Real* x);

// A row of parameter k: the n numbers from `at` on.
struct Row {
  std::size_t k, at, n;
  Real* w;
};

// What a rule may know about missed steps. A row takes them one by one, each an update() with a
// gradient of zeros: right for every rule. One that derives from this class, too, makes it cheaper.
class Shortcuts {
 public:
  virtual ~Shortcuts() = default;
  // Does a gradient of zeros change a row, or its state?
  virtual bool moves_on_zero(double /*weight_decay*/) const { return true; }
  // After this many missed steps, at learning rates up to highest_lr, skip() can make the others.
  virtual std::size_t replay_limit(const Row&, double /*highest_lr*/, double /*weight_decay*/) {
    return std::numeric_limits<std::size_t>::max();
  }
  virtual LinearStep missed_step(double /*lr*/, double /*weight_decay*/) const { return {}; }
  // Takes `count` missed steps at once; `together` is the product of their missed_step().
  virtual void skip(const Row&, const LinearStep& /*together*/, std::size_t /*count*/) {}
};

// The steps since all rows of a table were up to date, by their learning rates. The product of any
// n steps in a row takes 2 log2(n) multiplications, from products of blocks of 2, 4, 8, ... steps.
// (Not a quotient of two products from the start: powers of the momentum lose their digits.)
class MissedSteps {
 public:
  MissedSteps(const Shortcuts& shortcuts, double weight_decay, std::size_t first)
      : shortcuts_(shortcuts), weight_decay_(weight_decay), first_(first) {}

  void remember(double lr);        // one step more
  void forget(std::size_t first);  // all of them: the next will be number first + 1
  std::size_t first() const { return first_; }
  std::size_t last() const { return first_ + lr_.size(); }
  double lr(std::size_t t) const { return lr_[t - first_ - 1]; }  // of step number t
  double highest_lr() const { return highest_lr_; }
  double weight_decay() const { return weight_decay_; }
  LinearStep product(std::size_t from, std::size_t to) const;  // of steps from + 1, ..., to

 private:
  LinearStep block(std::size_t level, std::size_t i) const;  // steps i * 2^level ...
  const Shortcuts& shortcuts_;
  double weight_decay_, highest_lr_ = 0;
  std::size_t first_;
  std::vector<double> lr_;
  std::vector<std::vector<LinearStep>> blocks_;  // from level 1 on
};

// What the rows of a table owed when a state was saved, and the table as it stood.
struct OwedSteps {
  static NamedShapes shapes(const Shape& table, const Shape& lr);
  OwedSteps(const StateValues& values, const std::string& prefix);  // of those shapes

  Array table;
  std::vector<std::uint64_t> last;  // of each row
  std::uint64_t first;              // of MissedSteps, and
  std::vector<double> lr;           // of each step since
  bool fresh;                       // as in ExactRows
};

// The tables of one optimizer whose rows may be behind. Several threads may read a table at once,
// but not while it takes a step.
class ExactRows {
 public:
  explicit ExactRows(UpdateRule& rule);
  ~ExactRows();  // all rows take the steps they have missed

  bool moves_on_zero(double weight_decay) const { return shortcuts_->moves_on_zero(weight_decay); }
  // From here on rows of parameter k, which has taken `steps` steps, may be behind. Throws
  // std::logic_error if another optimizer watches the table.
  void watch(std::size_t k, const Tensor& table, double weight_decay, std::size_t steps);
  void check_free(std::size_t k, const Tensor& table) const;  // throws that, and changes nothing
  // These rows (null: all) of parameter k have taken a step. Nothing to do if it is not watched.
  void stepped(std::size_t k, double lr, const Indices* rows);
  SkippedRows skipped() const;

  StateDict state(std::size_t k) const;  // what OwedSteps reads; nothing if it is not watched
  // All rows take the steps they have missed, and none is watched any more.
  void stop();
  void restore(std::size_t k, const Tensor& table, double weight_decay, const OwedSteps& owed);
  void restore(const SkippedRows& skipped) { skipped_ = skipped; }

 private:
  struct Table {
    bool behind(std::size_t row);
    Tensor tensor;
    Zeros<std::size_t> last;  // the last step that each row has taken, if after missed.first()
    bool fresh;               // where `last` is 0 there was never a gradient
    MissedSteps missed;
    std::vector<Real> zeros;  // the gradient of a missed step of a row
  };
  void catch_up(std::size_t k, Table& table, const Indices* rows);
  void catch_up(std::size_t k, Table& table, std::size_t row);

  UpdateRule& rule_;
  Shortcuts none_, *shortcuts_;
  std::map<std::size_t, Table> tables_;
  mutable std::shared_mutex mutex_;  // held alone by a reader that catches rows up
  SkippedRows skipped_;
};

}  // namespace gradwalk
