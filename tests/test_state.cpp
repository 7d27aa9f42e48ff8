// State dicts of what a run is made of: what is loaded goes on in the same bits, and what does not
// fit changes nothing. Those of modules are in test_layers.cpp.
#include <cmath>
#include <limits>

#include "core/core.hpp"
#include "layers/files/safetensors.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"
#include "tests/optimizer_kinds.hpp"

using namespace gradwalk;

namespace {

const std::vector<SparsePolicy> kPolicies{SparsePolicy::kLazy, SparsePolicy::kExact,
                                          SparsePolicy::kDensify};
constexpr std::size_t kRows = 40, kSteps = 60;

StateValues values_of(const StateDict& state) {
  StateValues values;
  for (const auto& [name, tensor] : state) values.emplace(name, tensor.node()->value);
  return values;
}

// A table that is looked up, a weight, and what trains them.
struct Run {
  explicit Run(const OptimizerKind& kind, SparsePolicy policy)
      : optimizer(kind.make({table, weight}, policy)), schedule(*optimizer, 7, 0.5) {}

  void step() {
    Indices ids = empty<Indices>({5});
    for (std::int64_t& id : ids) {  // small ones often, most others rarely
      const std::size_t below = 1 + generator.below(kRows);
      id = static_cast<std::int64_t>(generator.below(below));
    }
    optimizer->zero_grad();
    const Tensor y = matmul(gather_rows(table, ids), weight);
    backward(sum(tanh(y) * y));
    optimizer->step();
    if (++steps % 3 == 0) schedule.step();
    if (steps % 8 == 0) table.value();  // as an evaluation reads it
  }

  // As a program saves it: the numbers as they stand, which no row catches up for.
  StateDict state() const {
    StateDict all{{"table", Tensor(Array(table.node()->value))}, {"weight", weight.detach()}};
    add_part(all, "optimizer", optimizer->state_dict());
    add_part(all, "schedule", schedule.state_dict());
    add_part(all, "generator", generator.state_dict());
    return all;
  }
  void load(StateValues values) {
    table.mutable_value() = values.at("table");
    weight.mutable_value() = values.at("weight");
    optimizer->load_state_dict(take_part(values, "optimizer"));
    schedule.load_state_dict(take_part(values, "schedule"));
    generator.load_state_dict(take_part(values, "generator"));
  }

  Generator generator{3};
  Tensor table{normal({kRows, 4}, generator), true}, weight{normal({4, 2}, generator), true};
  std::unique_ptr<Optimizer> optimizer;
  StepLR schedule;
  std::size_t steps = 0;
};

void check_same(const Run& a, const Run& b) {
  CHECK((a.table.value() == b.table.value()));
  CHECK((a.weight.value() == b.weight.value()));
  CHECK(a.optimizer->lr() == b.optimizer->lr());
  CHECK(a.optimizer->skipped_rows().rows == b.optimizer->skipped_rows().rows);
  CHECK(a.optimizer->skipped_rows().replayed == b.optimizer->skipped_rows().replayed);
}

}  // namespace

TEST_CASE("64 bits survive in numbers of any kind", "[state]") {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> doubles{0, -0.0, 0.1, -1e-310, 1e300, inf, -inf, 5e-324};
  const std::vector<double> read = doubles_of("test", bits_of_doubles(doubles).value());
  CHECK(read == doubles);
  CHECK(std::signbit(read[1]));
  const std::vector<std::uint64_t> counts{0, 1, 65536, 1ull << 53, ~0ull, 0x0123456789abcdef};
  CHECK(counts_of("test", bits_of_counts(counts).value()) == counts);
  CHECK((bits_of_counts({0x0004000300020001}).value() == Array{{1, 2, 3, 4}}));
  CHECK(bits_of_doubles({}).shape() == Shape{0, 4});

  for (const Array& bad : {Array{{1, 2, 3, 65536}}, Array{{1, -1, 3, 4}}, Array{{1, 0.5, 3, 4}},
                           Array{{1, std::nanf(""), 3, 4}}, Array{{1, 2, 3}}, Array{1, 2, 3, 4}})
    CHECK_THROWS_AS(counts_of("test", bad), std::invalid_argument);
  CHECK(std::isnan(doubles_of("test", bits_of_doubles({std::nan("")}).value())[0]));
}

TEST_CASE("a part is taken out of a state, and nothing that only looks like it", "[state]") {
  StateDict state;
  add_part(state, "a", {{"x", Tensor(Array{1})}, {"b.y", Tensor(Array{2})}});
  add_part(state, "ab", {{"x", Tensor(Array{3})}});
  StateValues values = values_of(state);
  const StateValues part = take_part(values, "a");
  CHECK(part.size() == 2);
  CHECK((part.at("b.y") == Array{2}));
  CHECK(values.size() == 1);
  CHECK(take_part(values, "a").empty());
}

TEST_CASE("a run goes on in the same bits, whenever it was saved", "[state]") {
  const tests::Folder folder;
  const std::string file = folder / "state.safetensors";
  for (const OptimizerKind& kind : optimizer_kinds()) {
    for (SparsePolicy policy : kPolicies) {
      INFO(kind.name << " policy " << static_cast<int>(policy));
      Run alone(kind, policy);
      for (std::size_t k = 0; k < kSteps; ++k) alone.step();
      for (std::size_t at : {0, 1, 2, 17, 43}) {
        INFO("saved after step " << at);
        Run saved(kind, policy), loaded(kind, policy);
        for (std::size_t k = 0; k < at; ++k) saved.step();
        save_safetensors(file, saved.state());
        for (std::size_t k = 0; k < 9; ++k) loaded.step();  // what it was before must not matter
        loaded.load(load_safetensors(file).tensors);
        loaded.steps = at;
        for (std::size_t k = at; k < kSteps; ++k) {
          saved.step();
          loaded.step();
        }
        check_same(saved, alone);  // saving has changed nothing
        check_same(loaded, alone);
      }
    }
  }
}

// A table that was read to be saved is up to date, and owes nothing any more. Its optimizer's state
// may have been saved, and may be loaded, before or after it.
TEST_CASE("a module and its optimizer may be saved and loaded in any order", "[state]") {
  const OptimizerKind kind = optimizer_kind<Adam>("Adam", AdamOptions());
  Run run(kind, SparsePolicy::kExact);
  for (std::size_t k = 0; k < 20; ++k) run.step();
  const StateValues before = values_of(run.optimizer->state_dict());
  CHECK_FALSE((before.at("0.owed.table") == run.table.value()));  // some row is behind
  const Array table = run.table.value(), weight = run.weight.value();
  const StateValues after = values_of(run.optimizer->state_dict());
  for (const StateValues& state : {before, after}) {
    for (bool optimizer_first : {true, false}) {
      Run other(kind, SparsePolicy::kExact);
      if (optimizer_first) other.optimizer->load_state_dict(state);
      other.table.mutable_value() = table;
      other.weight.mutable_value() = weight;
      if (!optimizer_first) other.optimizer->load_state_dict(state);
      CHECK((other.table.value() == table));
    }
  }
}

TEST_CASE("a state that does not fit changes nothing", "[state]") {
  const OptimizerKind adam = optimizer_kind<Adam>("Adam", AdamOptions());
  for (SparsePolicy policy : kPolicies) {
    Run run(adam, policy), other(adam, policy);
    for (std::size_t k = 0; k < 5; ++k) run.step(), other.step();
    const StateValues good = values_of(run.optimizer->state_dict());
    const auto refused = [&](StateValues values) {
      CHECK_THROWS_AS(run.optimizer->load_state_dict(values), std::invalid_argument);
    };
    refused({});
    const auto with = [&](const std::string& name, const Array& value) {
      StateValues changed = good;
      changed[name] = value;
      return changed;
    };
    refused(with("more", Array{1}));
    refused(with("0.exp_avg", Array{1}));
    refused(with("lr", bits_of_doubles({-1}).value()));
    refused(with("lr", bits_of_doubles({HUGE_VAL}).value()));
    refused(with("lr", bits_of_doubles({std::nan("")}).value()));
    refused(with("lr", Array{{0.5, 0, 0, 0}}));
    refused(with("step", bits_of_doubles({1}).value()));
    refused(with("2.exp_avg", Array{1}));
    if (policy == SparsePolicy::kExact) {
      REQUIRE(good.count("0.owed.last_step") == 1);
      refused(with("0.owed.since", bits_of_counts({0}).value()));
      refused(with("0.owed.lr", Array(1)));
      refused(with("0.owed.lr", bits_of_doubles({-1}).value()));
      refused(with("0.owed.last_step",
                   bits_of_counts(std::vector<std::uint64_t>(kRows, std::uint64_t{99})).value()));
      refused(with("1.owed.lr", bits_of_doubles({1}).value()));
    } else {
      refused(with("0.owed.lr", bits_of_doubles({1}).value()));
    }
    CHECK_THROWS_AS(run.schedule.load_state_dict({}), std::invalid_argument);
    CHECK_THROWS_AS(run.generator.load_state_dict({{"state", Array{{1, 2, 3, -4}}}}),
                    std::invalid_argument);
    for (std::size_t k = 0; k < 5; ++k) run.step(), other.step();
    check_same(run, other);
  }
  // states of other optimizers
  Run sgd({"SGD",
           [](Tensors p, SparsePolicy s) {
             return std::make_unique<SGD>(std::move(p), SgdOptions{0.1, 0.9, false, 0, s});
           }},
          SparsePolicy::kLazy);
  Run run(adam, SparsePolicy::kLazy);
  CHECK_THROWS_WITH(
      run.optimizer->load_state_dict(values_of(sgd.optimizer->state_dict())),
      "load_state_dict: names and shapes must match the optimizer's; missing '0.exp_avg' [40, 4]; "
      "missing '0.exp_avg_sq' [40, 4]; missing '1.exp_avg' [4, 2]; missing '1.exp_avg_sq' [4, 2]; "
      "unexpected '0.momentum_buffer' [40, 4]; unexpected '1.momentum_buffer' [4, 2]");
}

TEST_CASE("a moment keeps its bits, also those of -0", "[state]") {
  const Tensor x(Array{1, 2}, true);
  SGD sgd({x}, SgdOptions{0.1, 0.9});
  StateValues values = values_of(sgd.state_dict());
  values["0.momentum_buffer"] = Array{Real(-0.0), 3};
  sgd.load_state_dict(values);
  CHECK(std::signbit(values_of(sgd.state_dict()).at("0.momentum_buffer")(0)));
}

TEST_CASE("a table that another optimizer owes its steps is not taken over", "[state]") {
  const OptimizerKind adam = optimizer_kind<Adam>("Adam", AdamOptions());
  Run run(adam, SparsePolicy::kExact);
  for (std::size_t k = 0; k < 5; ++k) run.step();
  const StateValues state = values_of(run.optimizer->state_dict());
  const auto second = adam.make({run.table, run.weight}, SparsePolicy::kExact);
  CHECK_THROWS_AS(second->load_state_dict(state), std::logic_error);
  CHECK(second->lr() == 1e-3);
  run.optimizer.reset();
  second->load_state_dict(state);
}

TEST_CASE("schedules go on where they were", "[state]") {
  const auto optimizer = [] {
    static Tensor w(Array{1}, true);
    return std::make_unique<SGD>(Tensors{w}, SgdOptions{0.7});
  };
  const auto check = [&](const char* name, const auto& make, const auto& step) {
    for (std::size_t at : {0, 1, 4, 11}) {
      INFO(name << " saved after epoch " << at);
      const auto a = optimizer(), b = optimizer();
      const auto x = make(*a);
      for (std::size_t t = 0; t < at; ++t) step(*x, t);
      const auto y = make(*b);
      for (std::size_t t = 0; t < 3; ++t) step(*y, t);
      y->load_state_dict(values_of(x->state_dict()));
      b->load_state_dict(values_of(a->state_dict()));
      for (std::size_t t = at; t < 30; ++t) {
        step(*x, t);
        step(*y, t);
        CHECK(a->lr() == b->lr());
      }
    }
  };
  const auto epoch = [](auto& schedule, std::size_t) { schedule.step(); };
  check(
      "StepLR", [](Optimizer& o) { return std::make_unique<StepLR>(o, 3, 0.3); }, epoch);
  check(
      "CosineAnnealingLR",
      [](Optimizer& o) { return std::make_unique<CosineAnnealingLR>(o, 5, 0.01); }, epoch);
  check(
      "LinearLR", [](Optimizer& o) { return std::make_unique<LinearLR>(o, 0.1, 1, 6); }, epoch);
  check(
      "ReduceLROnPlateau",
      [](Optimizer& o) {
        ReduceLROnPlateauOptions options;
        options.patience = 2;
        options.cooldown = 1;
        return std::make_unique<ReduceLROnPlateau>(o, options);
      },
      [](auto& schedule, std::size_t t) { schedule.step(std::sin(double(t) * double(t))); });
}

TEST_CASE("a generator goes on with the same numbers", "[state]") {
  Generator a(5), b(6);
  for (int k = 0; k < 10; ++k) a.normal();
  b.load_state_dict(values_of(a.state_dict()));
  for (int k = 0; k < 10; ++k) CHECK(a.next() == b.next());
}
