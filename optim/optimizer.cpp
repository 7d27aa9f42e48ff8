#include "optim/optimizer.hpp"

#include <cstring>
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

StateDict Optimizer::state_dict() const {
  std::vector<double> rates;
  std::vector<std::uint64_t> steps;
  for (const Group& group : groups_) rates.push_back(group.lr);
  for (const Parameter& p : parameters_) steps.push_back(p.steps);
  const auto [rows, replayed] = exact_->skipped();
  StateDict state{{"lr", bits_of_doubles(rates)},
                  {"step", bits_of_counts(steps)},
                  {"skipped_rows", bits_of_counts({densified_, rows, replayed})}};
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    StateDict its;
    for (const auto& [name, values] : rule_->state(k)) {
      Array copy = empty(parameters_[k].shape);
      std::copy_n(values, copy.size(), copy.data());
      its.emplace_back(name, std::move(copy));
    }
    add_part(its, "owed", exact_->state(k));
    add_part(state, std::to_string(k), its);
  }
  return state;
}

void Optimizer::load_state_dict(const StateValues& values) {
  const char* op = "load_state_dict";
  NamedShapes expected{
      {"lr", {groups_.size(), 4}}, {"step", {parameters_.size(), 4}}, {"skipped_rows", {3, 4}}};
  std::map<std::size_t, OwedSteps> owed;
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    const Parameter& p = parameters_[k];
    const std::string prefix = std::to_string(k) + '.';
    for (const auto& kept : rule_->state(k)) expected.emplace_back(prefix + kept.name, p.shape);
    const auto missed = values.find(prefix + "owed.lr");
    if (missed == values.end()) continue;
    check(policy_ == SparsePolicy::kExact && exact_->moves_on_zero(groups_[p.group].weight_decay),
          op, ": rows of parameter ", k, " owe steps, which this optimizer has no use for");
    for (const auto& [name, shape] : OwedSteps::shapes(p.shape, missed->second.shape()))
      expected.emplace_back(prefix + "owed." + name, shape);
  }
  check_values("the optimizer's", expected, values);

  const std::vector<double> rates = doubles_of(op, values.at("lr"));
  for (double lr : rates) check_options(op, {{"lr", lr}});
  const auto steps = counts_of(op, values.at("step")),
             skipped = counts_of(op, values.at("skipped_rows"));
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    const std::string prefix = std::to_string(k) + ".owed.";
    if (values.count(prefix + "lr") == 0) continue;
    exact_->check_free(k, parameters_[k].tensor);
    owed.emplace(k, OwedSteps(values, prefix));
  }

  exact_->stop();
  for (std::size_t g = 0; g < groups_.size(); ++g) groups_[g].lr = rates[g];
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    parameters_[k].steps = steps[k];
    for (const auto& kept : rule_->state(k)) {
      const Array& from = values.at(std::to_string(k) + '.' + kept.name);
      for (std::size_t i = 0; i < from.size(); ++i) {  // the same: rows without memory stay so
        if (std::memcmp(kept.values + i, from.data() + i, sizeof(Real)) != 0)
          kept.values[i] = from.data()[i];
      }
    }
  }
  densified_ = skipped[0];
  for (const auto& [k, its] : owed) {
    const Parameter& p = parameters_[k];
    exact_->restore(k, p.tensor, groups_[p.group].weight_decay, its);
  }
  exact_->restore({skipped[1], skipped[2]});
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
  constexpr double kMost = double(std::numeric_limits<Real>::max());
  for (const auto& [name, value, end] : options) {
    check(value >= 0 && value < end, op, ": ", name, " must be in [0, ", end, "), got ", value);
    check(value <= kMost, op, ": ", name, " must be at most ", kMost, ", got ", value);
  }
}

void check_gradient(const char* op, const Tensor& p) {
  const std::string bad = misfit(op, p.grad(), p.shape());
  check(bad.empty(), op, ": a parameter ", p.shape(), " needs a gradient of its shape, got ", bad);
}

}  // namespace gradwalk
