#include "optim/optimizer.hpp"

#include <set>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
#include "core/observer.hpp"
#include "core/ops/lookup.hpp"
#include "optim/exact_rows.hpp"

namespace gradwalk {

Optimizer::Optimizer(const ParamGroups& groups, double lr, double weight_decay, SparsePolicy policy,
                     std::unique_ptr<UpdateRule> rule)
    : policy_(policy), rule_(std::move(rule)), exact_(std::make_unique<ExactRows>(*rule_)) {
  std::set<const Node*> nodes;
  bool any = false;
  for (const ParamGroup& group : groups) {
    const std::size_t g = groups_.size();
    groups_.push_back({group.lr.value_or(lr), group.weight_decay.value_or(weight_decay)});
    check_options("optimizer", {{message("lr of group ", g), groups_[g].lr},
                                {message("weight_decay of group ", g), groups_[g].weight_decay}});
    for (const Tensor& p : group.params) {
      check(nodes.insert(p.node().get()).second, "optimizer: a parameter ", p.shape(),
            " is listed twice");
      any = any || p.requires_grad();
      parameters_.push_back({p, g, p.shape()});
    }
  }
  check(any, "optimizer: needs at least one parameter that requires a gradient");
}

Optimizer::~Optimizer() = default;

double Optimizer::lr(std::size_t group) const {
  check<std::out_of_range>(group < groups_.size(), "lr: group ", group, " is outside ",
                           groups_.size(), " groups");
  return groups_[group].lr;
}

void Optimizer::set_lr(double lr) {
  for (std::size_t group = 0; group < groups_.size(); ++group) set_lr(lr, group);
}

void Optimizer::set_lr(double lr, std::size_t group) {
  check_options("set_lr", {{"lr", lr}});
  check<std::out_of_range>(group < groups_.size(), "set_lr: group ", group, " is outside ",
                           groups_.size(), " groups");
  groups_[group].lr = lr;
}

void Optimizer::step() {
  static constexpr const char* kPolicies[] = {"lazy", "exact", "densify"};
  const NoGrad guard;
  for (std::size_t k = 0; k < parameters_.size(); ++k) {  // refuse before anything moves
    const auto& [p, group, shape, steps] = parameters_[k];
    check<std::logic_error>(p.shape() == shape, "step: a parameter ", p.shape(), " was ", shape,
                            " when the optimizer was made");
    check_gradient("step", p);
    if (policy_ == SparsePolicy::kExact && std::holds_alternative<RowSparse>(p.grad()))
      exact_->watch(k, p, groups_[group].weight_decay, steps);
  }
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    const Gradient& g = parameters_[k].tensor.grad();
    if (std::holds_alternative<std::monostate>(g)) continue;
    const auto* sparse = std::get_if<RowSparse>(&g);
    const char* policy = sparse ? kPolicies[static_cast<int>(policy_)] : "dense";
    if (Observer::first()) Observer::tell_update(parameters_[k].tensor, policy, false);
    if (sparse && policy_ != SparsePolicy::kDensify) {
      step_rows(k, *sparse);
    } else {
      step_all(k, dense(g));
      if (sparse && exact_->moves_on_zero(groups_[parameters_[k].group].weight_decay))
        densified_ += sparse->num_rows - coalesce(*sparse).rows.size();
    }
    if (Observer::first()) Observer::tell_update(parameters_[k].tensor, policy, true);
  }
}

void Optimizer::step_all(std::size_t k, const Tensor& g) {
  Parameter& p = parameters_[k];
  const Real* values = g.value().data();  // before the step begins: a table may catch up here
  Real* w = p.tensor.mutable_value().data();
  rule_->begin_step(k, groups_[p.group].lr, groups_[p.group].weight_decay, ++p.steps);
  parallel_ranges(g.size(), kernels::kGrain, [&](std::size_t begin, std::size_t end) {
    rule_->update(k, begin, end - begin, w + begin, values + begin, false);
  });
  exact_->stepped(k, groups_[p.group].lr, nullptr);
}

void Optimizer::step_rows(std::size_t k, const RowSparse& g) {
  Parameter& p = parameters_[k];
  const double lr = groups_[p.group].lr;
  RowSparse own = g;  // set by hand it may be the table itself, which moves below
  if (g.values.node() == p.tensor.node()) own.values = g.values.detach();
  SummedRows once(std::move(own));  // the update is not linear in g
  const std::size_t n = once.rows().size(), width = n == 0 ? 0 : p.tensor.size() / g.num_rows;
  const std::int64_t* rows = once.rows().data();
  Real* w = p.tensor.mutable_value(once.rows()).data();
  const auto update = [&](std::size_t i, const Real* sum) {
    kernels::prefetch_row(i, n, width, rows, w);
    const std::size_t at = static_cast<std::size_t>(rows[i]) * width;
    rule_->update(k, at, width, w + at, sum, policy_ == SparsePolicy::kLazy);
  };
  rule_->begin_step(k, lr, groups_[p.group].weight_decay, ++p.steps);
  once.each(std::ref(update));
  exact_->stepped(k, lr, &*once.rows());
}

void Optimizer::zero_grad() {
  for (Parameter& p : parameters_) p.tensor.zero_grad();
}

SkippedRows Optimizer::skipped_rows() const {
  const auto [rows, replayed] = exact_->skipped();
  return {rows + densified_, replayed};
}

std::vector<Zeros<Real>> zeros_like(const ParamGroups& groups) {
  std::vector<Zeros<Real>> all;
  for (const ParamGroup& group : groups) {
    for (const Tensor& p : group.params) all.emplace_back(p.size());
  }
  return all;
}

void check_options(const char* op, const std::vector<Option>& options) {
  for (const auto& [name, value, end] : options)
    check(value >= 0 && value < end, op, ": ", name, " must be in [0, ", end, "), got ", value);
}

void check_gradient(const char* op, const Tensor& p) {
  const std::string bad = misfit(op, p.grad(), p.shape());
  check(bad.empty(), op, ": a parameter ", p.shape(), " needs a gradient of its shape, got ", bad);
}

}  // namespace gradwalk
