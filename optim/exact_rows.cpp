#include "optim/exact_rows.hpp"

#include <algorithm>
#include <mutex>

#include "core/error.hpp"
#include "core/machine/subnormals.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {

LinearStep then(const LinearStep& a, const LinearStep& b) {
  return {b.ww * a.ww + b.wb * a.bw, b.ww * a.wb + b.wb * a.bb,  //
          b.bw * a.ww + b.bb * a.bw, b.bw * a.wb + b.bb * a.bb};
}

void apply(const LinearStep& step, std::size_t n, Real* __restrict w, Real* __restrict b) {
  const Real ww = static_cast<Real>(step.ww), wb = static_cast<Real>(step.wb),
             bw = static_cast<Real>(step.bw), bb = static_cast<Real>(step.bb);
  for (std::size_t i = 0; i < n; ++i) {
    const Real before = w[i];
    w[i] = ww * before + wb * b[i];
    b[i] = bw * before + bb * b[i];
  }
}

void shrink(double factor, std::size_t n, Real* x) {
  for (std::size_t i = 0; i < n; ++i) {
    if (x[i] != 0) x[i] *= static_cast<Real>(factor);
  }
}

LinearStep MissedSteps::block(std::size_t level, std::size_t i) const {
  return level == 0 ? shortcuts_.missed_step(lr_[i], weight_decay_) : blocks_[level - 1][i];
}

void MissedSteps::remember(double lr) {
  lr_.push_back(lr);
  highest_lr_ = std::max(highest_lr_, lr);
  for (std::size_t level = 0, n = lr_.size(); n % 2 == 0; ++level, n /= 2) {
    if (blocks_.size() == level) blocks_.emplace_back();
    blocks_[level].push_back(then(block(level, n - 2), block(level, n - 1)));
  }
}

void MissedSteps::forget(std::size_t first) {
  first_ = first;
  highest_lr_ = 0;
  lr_.clear();
  blocks_.clear();
}

LinearStep MissedSteps::product(std::size_t from, std::size_t to) const {
  LinearStep all;
  for (std::size_t i = from - first_, end = to - first_; i < end;) {
    std::size_t level = blocks_.size();  // of the longest block that begins here and ends in time
    while (i % (std::size_t{1} << level) != 0 || i + (std::size_t{1} << level) > end) --level;
    all = then(all, block(level, i >> level));
    i += std::size_t{1} << level;
  }
  return all;
}

ExactRows::ExactRows(UpdateRule& rule) : rule_(rule), shortcuts_(dynamic_cast<Shortcuts*>(&rule)) {
  if (shortcuts_ == nullptr) shortcuts_ = &none_;
}

ExactRows::~ExactRows() { stop(); }

void ExactRows::stop() {
  for (auto& [k, table] : tables_) {
    catch_up(k, table, nullptr);
    table.tensor.node()->before_read = nullptr;
  }
  tables_.clear();
}

void ExactRows::check_free(std::size_t k, const Tensor& t) const {
  check<std::logic_error>(
      tables_.count(k) != 0 || !t.node()->before_read,
      "step: another optimizer with SparsePolicy::kExact owes this table's rows "
      "their steps; destroy that one first");
}

void ExactRows::watch(std::size_t k, const Tensor& t, double weight_decay, std::size_t steps) {
  if (tables_.count(k) != 0 || !moves_on_zero(weight_decay)) return;
  check_free(k, t);
  const std::size_t num_rows = t.shape(0), width = num_rows == 0 ? 0 : t.size() / num_rows;
  const MissedSteps missed(*shortcuts_, weight_decay, steps);
  Table table{t, Zeros<std::size_t>(num_rows), steps == 0, missed, std::vector<Real>(width)};
  Table& kept = tables_.emplace(k, std::move(table)).first->second;
  t.node()->before_read = [this, k, &kept](const Indices* rows) { catch_up(k, kept, rows); };
}

void ExactRows::stepped(std::size_t k, double lr, const Indices* rows) {
  const auto found = tables_.find(k);
  if (found == tables_.end()) return;
  Table& table = found->second;
  if (!rows) {
    table.fresh = false;
    table.missed.forget(table.missed.last() + 1);
    return;
  }
  table.missed.remember(lr);
  for (std::int64_t row : *rows)
    table.last.data()[static_cast<std::size_t>(row)] = table.missed.last();
}

SkippedRows ExactRows::skipped() const {
  const std::shared_lock lock(mutex_);
  return skipped_;
}

NamedShapes OwedSteps::shapes(const Shape& table, const Shape& lr) {
  check(!table.empty() && !lr.empty(), "load_state_dict: rows of a parameter ", table,
        " cannot owe steps");
  return {{"table", table}, {"last_step", {table[0], 4}}, {"since", {2, 4}}, {"lr", {lr[0], 4}}};
}

OwedSteps::OwedSteps(const StateValues& values, const std::string& prefix)
    : table(values.at(prefix + "table")),
      last(counts_of("load_state_dict", values.at(prefix + "last_step"))),
      lr(doubles_of("load_state_dict", values.at(prefix + "lr"))) {
  const auto since = counts_of("load_state_dict", values.at(prefix + "since"));
  first = since[0];
  fresh = since[1] != 0;
  for (double rate : lr) check_options("load_state_dict", {{"lr", rate}});
  check(first >> 63 == 0, "load_state_dict: step ", first, " is more than a run can make");
  for (std::uint64_t step : last)
    check(step <= first || step - first <= lr.size(), "load_state_dict: a row's last step is ",
          step, ", after the last of all, ", first, " + ", lr.size());
}

StateDict ExactRows::state(std::size_t k) const {
  const auto found = tables_.find(k);
  if (found == tables_.end()) return {};
  const std::shared_lock lock(mutex_);
  const auto& [table, last, fresh, missed, zeros] = found->second;
  std::vector<double> lr;
  for (std::size_t t = missed.first() + 1; t <= missed.last(); ++t) lr.push_back(missed.lr(t));
  const std::size_t* of_row = last.data();
  return {
      {"table", Tensor(Array(table.node()->value))},
      {"last_step", bits_of_counts(std::vector<std::uint64_t>(of_row, of_row + table.shape(0)))},
      {"since", bits_of_counts({missed.first(), std::uint64_t(fresh)})},
      {"lr", bits_of_doubles(lr)}};
}

void ExactRows::restore(std::size_t k, const Tensor& t, double weight_decay,
                        const OwedSteps& owed) {
  watch(k, t, weight_decay, owed.first);
  Table& table = tables_.at(k);
  table.tensor.mutable_value() = owed.table;
  table.fresh = owed.fresh;
  for (std::size_t row = 0; row < owed.last.size(); ++row) {  // zeros are there: no memory for them
    if (owed.last[row] != 0) table.last.data()[row] = owed.last[row];
  }
  for (double lr : owed.lr) table.missed.remember(lr);
}

bool ExactRows::Table::behind(std::size_t row) {
  const std::size_t took = last.data()[row];
  return std::max(took, missed.first()) < missed.last() &&
         (missed.weight_decay() != 0 || took != 0 || !fresh);  // by decay or by momentum
}

void ExactRows::catch_up(std::size_t k, Table& table, const Indices* rows) {
  const auto behind = [&](std::int64_t row) { return table.behind(static_cast<std::size_t>(row)); };
  {
    const std::shared_lock lock(mutex_);
    if (table.missed.first() == table.missed.last()) return;
    if (rows) {
      check_ids("value", *rows, table.tensor.shape(0));
      if (std::none_of(rows->begin(), rows->end(), behind)) return;
    }
  }
  const std::unique_lock lock(mutex_);
  if (rows) {
    for (std::int64_t row : *rows) catch_up(k, table, static_cast<std::size_t>(row));
  } else {
    for (std::size_t row = 0; row < table.tensor.shape(0); ++row) catch_up(k, table, row);
    table.missed.forget(table.missed.last());
  }
}

void ExactRows::catch_up(std::size_t k, Table& table, std::size_t row) {
  if (!table.behind(row)) return;
  const FlushSubnormals flush;
  const MissedSteps& missed = table.missed;
  std::size_t& last = table.last.data()[row];
  const std::size_t n = table.zeros.size(), from = std::max(last, missed.first()),
                    now = missed.last();
  const Row r{k, row * n, n, table.tensor.node()->value.data() + row * n};
  const std::size_t limit = shortcuts_->replay_limit(r, missed.highest_lr(), missed.weight_decay()),
                    stop = from + std::min(now - from, limit);
  for (std::size_t t = from + 1; t <= stop; ++t) {
    rule_.begin_step(k, missed.lr(t), missed.weight_decay(), t);
    rule_.update(k, r.at, n, r.w, table.zeros.data(), false);
  }
  if (stop < now) shortcuts_->skip(r, missed.product(stop, now), now - stop);
  last = now;
  ++skipped_.rows;
  skipped_.replayed += stop - from;
}

}  // namespace gradwalk
