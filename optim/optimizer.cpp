#include "optim/optimizer.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {

Optimizer::Table::Table(std::size_t num_rows, std::size_t width, MissedSteps steps)
    : num_rows(num_rows), width(width), last(num_rows), missed(std::move(steps)), zeros(width) {}

Optimizer::Optimizer(const std::vector<ParamGroup>& groups, double lr, double weight_decay,
                     SparsePolicy policy)
    : policy_(policy) {
  std::set<const Node*> nodes;
  bool any = false;
  for (const ParamGroup& group : groups) {
    const std::size_t g = groups_.size();
    check(group.weight_decay.value_or(0) >= 0, "optimizer: weight_decay must not be negative, got ",
          group.weight_decay.value_or(0), " in group ", g);
    groups_.push_back({group.weight_decay.value_or(weight_decay)});
    set_lr(group.lr.value_or(lr), g);
    for (const Tensor& p : group.params) {
      check(nodes.insert(p.node().get()).second, "optimizer: a parameter ", p.shape(),
            " is listed twice");
      any = any || p.requires_grad();
      parameters_.push_back(p);
      sizes_.push_back(p.size());
      group_.push_back(g);
    }
  }
  check(any, "optimizer: needs at least one parameter that requires a gradient");
  steps_.resize(parameters_.size());
  tables_.resize(parameters_.size());
}

Optimizer::~Optimizer() {
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    if (tables_[k]) parameters_[k].node()->before_read = nullptr;
  }
}

double Optimizer::lr(std::size_t group) const {
  check<std::out_of_range>(group < groups_.size(), "optimizer: group ", group, " is outside ",
                           groups_.size(), " groups");
  return groups_[group].lr;
}

void Optimizer::set_lr(double lr) {
  for (std::size_t group = 0; group < groups_.size(); ++group) set_lr(lr, group);
}

void Optimizer::set_lr(double lr, std::size_t group) {
  check(lr >= 0, "optimizer: the learning rate must not be negative, got ", lr);
  check<std::out_of_range>(group < groups_.size(), "optimizer: group ", group, " is outside ",
                           groups_.size(), " groups");
  groups_[group].lr = lr;
  groups_[group].highest_lr = std::max(groups_[group].highest_lr, lr);
}

void Optimizer::step() {
  NoGrad guard;
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    check_fits(k);
    const auto* sparse = std::get_if<RowSparse>(&parameters_[k].grad());
    if (sparse && policy_ == SparsePolicy::kExact && moves_unnamed(k))
      open_table(k, sparse->num_rows);
  }
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    const Gradient& g = parameters_[k].grad();
    if (std::holds_alternative<std::monostate>(g)) continue;
    const auto* sparse = std::get_if<RowSparse>(&g);
    if (sparse && policy_ != SparsePolicy::kDensify) {
      step_rows(k, coalesce(*sparse));  // the update is not linear in g: each row once
    } else {
      step_all(k, dense(g));
      if (sparse && moves_unnamed(k))
        unnamed_.rows += sparse->num_rows - coalesce(*sparse).rows.size();
    }
  }
}

// The state has the size that the parameter had at first.
void Optimizer::check_fits(std::size_t k) const {
  const Tensor& p = parameters_[k];
  const Gradient& g = p.grad();
  check<std::logic_error>(p.size() == sizes_[k], "optimizer: a parameter ", p.shape(), " had ",
                          sizes_[k], " numbers at first");
  if (auto* t = std::get_if<Tensor>(&g))
    check(t->shape() == p.shape(), "optimizer: a gradient ", t->shape(), " for a parameter ",
          p.shape());
  if (auto* s = std::get_if<RowSparse>(&g)) {
    check(p.dim() > 0 && s->num_rows == p.shape(0) &&
              s->values.size() * s->num_rows == s->rows.size() * p.size(),
          "optimizer: a gradient of ", s->num_rows, " rows, ", s->rows.size(), " of them ",
          s->values.shape(), ", for a parameter ", p.shape());
    check_ids("optimizer", s->rows, s->num_rows);
  }
}

void Optimizer::step_all(std::size_t k, const Tensor& g) {
  Real* w = parameters_[k].mutable_value().data();
  begin_step(k, lr(group_[k]), ++steps_[k]);
  parallel_ranges(g.size(), kernels::kGrain, [&](std::size_t begin, std::size_t end) {
    update(k, begin, end - begin, w + begin, g.value().data() + begin, false);
  });
  if (Table* table = tables_[k].get()) {
    table->fresh = false;
    table->all = steps_[k];
    table->missed.forget(steps_[k]);
  }
}

void Optimizer::step_rows(std::size_t k, const RowSparse& g) {
  Real* w = parameters_[k].mutable_value(g.rows).data();
  begin_step(k, lr(group_[k]), ++steps_[k]);
  Table* table = tables_[k].get();
  const std::size_t width = g.num_rows == 0 ? 0 : parameters_[k].size() / g.num_rows;
  const Real* values = g.values.value().data();
  parallel_ranges(
      g.rows.size(), kernels::kGrain / (width + 1), [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
          kernels::prefetch_row(i, g.rows.size(), width, g.rows.data(), w);
          const std::size_t row = static_cast<std::size_t>(g.rows.data()[i]), at = row * width;
          update(k, at, width, w + at, values + i * width, policy_ == SparsePolicy::kLazy);
          if (table) table->last.data()[row] = steps_[k];
        }
      });
  if (table) table->missed.remember(lr(group_[k]));
}

void Optimizer::zero_grad() {
  for (Tensor& p : parameters_) p.zero_grad();
}

void Optimizer::open_table(std::size_t k, std::size_t num_rows) {
  if (tables_[k]) return;
  Node& node = *parameters_[k].node();
  check<std::logic_error>(!node.before_read,
                          "optimizer: another one with SparsePolicy::kExact owes this table's rows "
                          "their steps; destroy that one first");
  tables_[k] =
      std::make_unique<Table>(num_rows, num_rows == 0 ? 0 : node.value.size() / num_rows,
                              MissedSteps([this, k](double lr) { return missed_step(k, lr); }));
  tables_[k]->fresh = steps_[k] == 0;
  tables_[k]->all = steps_[k];
  tables_[k]->missed.forget(steps_[k]);
  node.before_read = [this, k](const Indices* rows) { settle(k, rows); };
}

void Optimizer::settle() {
  for (std::size_t k = 0; k < tables_.size(); ++k) {
    if (tables_[k]) settle(k, nullptr);
  }
}

void Optimizer::settle(std::size_t k, const Indices* rows) {
  Table& table = *tables_[k];
  if (table.all == steps_[k]) return;
  if (rows) {
    check_ids("value", *rows, table.num_rows);
    for (std::int64_t row : *rows) catch_up(k, static_cast<std::size_t>(row));
    return;
  }
  for (std::size_t row = 0; row < table.num_rows; ++row) catch_up(k, row);
  table.all = steps_[k];
  table.missed.forget(steps_[k]);
}

void Optimizer::catch_up(std::size_t k, std::size_t row) {
  Table& table = *tables_[k];
  std::size_t& last = table.last.data()[row];
  const bool moves = weight_decay(k) != 0 || last != 0 || !table.fresh;  // by decay or by momentum
  const std::size_t from = std::max(last, table.all), now = steps_[k];
  if (from == now || !moves) return;
  const std::size_t n = table.width, at = row * n,
                    stop = from + std::min(now - from, replay_limit(k, at, n));
  Real* w = parameters_[k].node()->value.data() + at;
  for (std::size_t t = from + 1; t <= stop; ++t) {
    begin_step(k, table.missed.lr(t), t);
    update(k, at, n, w, table.zeros.data(), false);
  }
  if (stop < now) skip(k, at, n, w, table.missed.product(stop, now), now - stop);
  last = now;
  ++unnamed_.rows;
  unnamed_.replayed += stop - from;
}

}  // namespace gradwalk
