// SparsePolicy::kExact against the dense optimizer, and what it costs, by counting.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <thread>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/exact_rows.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/child.hpp"
#include "tests/optimizer_kinds.hpp"

using namespace gradwalk;

namespace {

constexpr std::size_t kRows = 40, kWidth = 3;
constexpr double kTolerance = sizeof(Real) == 4 ? 2e-4 : 1e-12;

Tensor table(std::uint64_t seed) {
  Generator g(seed);
  return Tensor(normal({kRows, kWidth}, g), true);
}

// n ids, the small ones far more often: the rarest is away for hundreds of steps, if it ever comes
Indices zipf(std::size_t n, Generator& g) {
  Indices ids = empty<Indices>({n});
  for (std::int64_t& id : ids) id = static_cast<std::int64_t>(kRows * std::pow(g.uniform(), 5));
  return ids;
}

// |got - expected|, relative to the greatest number of the row, which is what rounding is relative to
void check_equal(const Array& got, const Array& expected) {
  double worst = 0;
  for (std::size_t at = 0; at < got.size(); at += kWidth) {
    double off = 0, size = 0;
    for (std::size_t i = at; i < at + kWidth; ++i) {
      off = std::max(off, std::abs(double(got.data()[i]) - double(expected.data()[i])));
      size = std::max(size, std::abs(double(expected.data()[i])));
    }
    worst = std::max(worst, off / size);
  }
  CHECK(worst <= kTolerance);
}

// 500 random steps of two tables, one of which gets no gradient in most of them, read now and then.
void compare_with_dense(const OptimizerKind& kind, bool schedule) {
  const Tensor a[2] = {table(1), table(2)}, b[2] = {table(1), table(2)};
  const auto exact = kind.make({a[0], a[1]}, SparsePolicy::kExact),
             reference = kind.make({b[0], b[1]}, SparsePolicy::kLazy);
  Generator g(3);
  for (int step = 0; step < 500; ++step) {
    if (schedule && step % 3 == 0) {
      const double lr = 0.1 * (1 + std::sin(0.01 * step)) * g.uniform();
      exact->set_lr(lr);
      reference->set_lr(lr);
    }
    const std::size_t n = g.below(6);
    const Indices first = zipf(n, g), second = zipf(2, g);
    const Tensor c(normal({n, kWidth}, g)), d(normal({2, kWidth}, g));
    const auto loss = [&](const Tensor* w, bool sparse) {
      const Tensor y = sum(gather_rows(w[0], first, {}, sparse) * c) +
                       sum(gather_rows(w[0], second, {}, sparse) * d);
      return step % 5 < 2 ? y + sum(gather_rows(w[1], second, {}, sparse) * d) : y;
    };
    exact->zero_grad();
    reference->zero_grad();
    backward(loss(a, true));
    backward(loss(b, false));
    exact->step();
    reference->step();
    if (step % 97 == 96) check_equal(a[1].value(), b[1].value());
    if (step % 31 == 30) {
      const Indices some = zipf(3, g);
      check_equal(gather_rows(a[0], some).value(), gather_rows(b[0], some).value());
    }
  }
  for (int i : {0, 1}) check_equal(a[i].value(), b[i].value());
}

// The gradient of one step: these rows, with random numbers.
RowSparse rows_of(const Indices& ids, Generator& g, std::size_t num_rows = kRows) {
  return {ids, Tensor(normal({ids.size(), kWidth}, g)), num_rows};
}

// Gives w a momentum in every row, then takes `missed` steps that touch none.
std::unique_ptr<Optimizer> run_away(Tensor& w, const OptimizerKind& kind, std::size_t missed) {
  Generator g(5);
  auto optimizer = kind.make({w}, SparsePolicy::kExact);
  const std::size_t num_rows = w.shape(0);
  Indices all = empty<Indices>({kRows});
  for (std::size_t i = 0; i < kRows; ++i) all.data()[i] = static_cast<std::int64_t>(i);
  w.mutable_grad() = rows_of(all, g, num_rows);
  optimizer->step();
  for (std::size_t step = 0; step < missed; ++step) {
    w.mutable_grad() = rows_of(empty<Indices>({0}), g, num_rows);
    optimizer->step();
  }
  return optimizer;
}

OptimizerKind momentum_kind() {
  return {"SGD", [](Tensors parameters, SparsePolicy policy) {
            SgdOptions o{0.1, 0.9, false, 0, policy};
            return std::make_unique<SGD>(std::move(parameters), o);
          }};
}

OptimizerKind adam_kind(double weight_decay = 0) {
  AdamOptions o;
  o.weight_decay = weight_decay;
  return optimizer_kind<Adam>("Adam", o);
}

}  // namespace

TEST_CASE("exact: 500 random steps end where the dense optimizer's do", "[policies]") {
  for (const OptimizerKind& kind : optimizer_kinds()) {
    for (bool schedule : {false, true}) {
      INFO(kind.name << (schedule ? ", the learning rate changes" : ""));
      compare_with_dense(kind, schedule);
    }
  }
}

TEST_CASE("exact: settings in which no missed step may be left out", "[policies]") {
  std::vector<OptimizerKind> kinds;
  AdamOptions o;
  o.lr = 0.1;
  o.beta1 = 0.99;  // above sqrt(beta2): the steps of a row that is away grow
  o.beta2 = 0.95;
  kinds.push_back(optimizer_kind<Adam>("Adam, momentum outlives the mean square", o));
  o = {};
  o.lr = 0.1;
  o.weight_decay = 3;  // w shrinks by 0.7 a step, faster than the moments
  kinds.push_back(optimizer_kind<AdamW>("AdamW, strong decay", o));
  o.weight_decay = 10;  // every step forgets w
  kinds.push_back(optimizer_kind<AdamW>("AdamW, nothing is kept", o));
  o.weight_decay = 0.5;
  o.eps = 0.01;
  kinds.push_back(optimizer_kind<AdamW>("AdamW, large eps", o));
  o.beta1 = o.beta2 = 0;
  kinds.push_back(optimizer_kind<AdamW>("AdamW without moments", o));
  for (const OptimizerKind& kind : kinds) {
    INFO(kind.name);
    compare_with_dense(kind, false);
  }
}

TEST_CASE("exact: the layers settle the rows that they look up, and padding's", "[policies]") {
  Generator generator(4);
  EmbeddingBagOptions o;
  o.padding_idx = 0;
  o.max_norm = 0.5;  // every row is scaled down when it is read
  const Embedding embedding(100, 4, generator, o);
  const EmbeddingBag mean(100, 4, generator, o);
  o.mode = BagMode::kMax;
  const EmbeddingBag max(100, 4, generator, o);
  const Indices all = [] {
    Indices ids = empty<Indices>({100, 1});  // each a bag of its own
    for (std::size_t i = 0; i < 100; ++i) ids.data()[i] = static_cast<std::int64_t>(i);
    return ids;
  }();
  const auto settled = [&](const auto& layer) {
    AdamOptions options;
    options.policy = SparsePolicy::kExact;
    Adam adam(layer.parameters(), options);
    backward(sum(layer(all)));  // each row has moments from here on
    adam.step();
    for (int step = 0; step < 3; ++step) {
      adam.zero_grad();
      backward(sum(layer(Indices{{1, 2}})));
      adam.step();
    }
    const std::size_t before = adam.skipped_rows().rows;
    layer(Indices{{5, 0, 9, 5}});
    return adam.skipped_rows().rows - before;
  };
  CHECK(settled(embedding) == 2);  // 5 and 9: padding has no moments
  CHECK(settled(mean) == 2);
  CHECK(settled(max) == 2);
}

TEST_CASE("exact: a reader settles the rows that it reads, and only them", "[policies]") {
  Tensor w = table(1);
  const auto optimizer = run_away(w, momentum_kind(), 3);
  const Array before = w.node()->value;  // as it lies there, unasked
  const std::uint64_t changed = w.node()->changed;
  const Tensor y = gather_rows(w, Indices{4, 2, 4});
  CHECK(optimizer->skipped_rows().rows == 2);
  for (std::size_t row = 0; row < kRows; ++row)
    CHECK((w.node()->value(row, 0) != before(row, 0)) == (row == 2 || row == 4));
  CHECK(y.value()(1, 0) == w.node()->value(2, 0));
  w.shape();  // reads no row
  CHECK(optimizer->skipped_rows().rows == 2);

  const Array all = w.value();
  CHECK(optimizer->skipped_rows().rows == kRows);
  CHECK(all(2, 0) == y.value()(1, 0));
  for (std::size_t row = 0; row < kRows; ++row) CHECK(all(row, 0) != before(row, 0));
  CHECK(w.value() == all);
  CHECK(optimizer->skipped_rows().rows == kRows);
  // What the value stands for has not changed: nobody may complain.
  CHECK(w.node()->changed == changed);
  backward(sum(y));
}

TEST_CASE("exact: threads may read a table at once, in whatever way", "[policies][threads]") {
  constexpr std::size_t kThreads = 4;
  for (const OptimizerKind& kind : {momentum_kind(), adam_kind(), adam_kind(0.1)}) {
    INFO(kind.name);
    Tensor same = table(1);
    run_away(same, kind, 30).reset();
    const Array expected = same.value();
    for (int round = 0; round < 100; ++round) {
      Tensor w = table(1);
      const auto optimizer = run_away(w, kind, 30);
      bool right[kThreads];
      std::atomic<std::size_t> ready{0};
      std::vector<std::thread> readers;
      for (std::size_t id = 0; id < kThreads; ++id) {
        readers.emplace_back([&, id] {
          const NoGrad guard;
          const Indices odd{1, 3, 5, 7, 9};
          const auto same_rows = [&](const Array& rows) {
            for (std::size_t i = 0; i < 5; ++i) {
              for (std::size_t d = 0; d < kWidth; ++d)
                if (rows(i, d) != expected(2 * i + 1, d)) return false;
            }
            return true;
          };
          ++ready;
          while (ready < kThreads) {
          }
          bool all_right = same_rows(gather_rows(w, odd).value());
          if (id == 1) all_right &= w.value(odd)(5, 1) == expected(5, 1);
          if (id == 2) all_right &= (w.value() == expected);
          all_right &= same_rows(gather_rows(w, odd).value());
          if (id == 3) all_right &= (w.detach().value() == expected);
          right[id] = all_right && optimizer->skipped_rows().rows >= 5;
        });
      }
      for (std::thread& reader : readers) reader.join();
      for (bool r : right) CHECK(r);
      CHECK(optimizer->skipped_rows().rows == kRows);  // each row once
    }
  }
}

TEST_CASE("exact: rows of a table are asked for by ids within it", "[policies]") {
  Tensor w = table(1);
  const auto optimizer = run_away(w, momentum_kind(), 3);
  const Array before = w.node()->value;
  for (std::int64_t id : {std::int64_t{kRows}, std::int64_t{-1}}) {
    CHECK(error_of<std::out_of_range>([&] {
            w.value(Indices{0, id});
          }) == message("value: index ", id, " at [1] is outside a table of 40 rows"));
  }
  CHECK((w.node()->value == before));
}

TEST_CASE("exact: whoever takes the whole table gets it settled", "[policies]") {
  const auto settled = [] {
    Tensor w = table(1);
    const auto optimizer = run_away(w, momentum_kind(), 3);
    return Array(w.value());
  }();
  const auto check_door = [&](const std::function<Array(Tensor&)>& open) {
    Tensor w = table(1);
    const auto optimizer = run_away(w, momentum_kind(), 3);
    CHECK((w.node()->value != settled));
    CHECK((open(w) == settled));
  };
  check_door([](Tensor& w) { return w.detach().value(); });
  check_door([](Tensor& w) { return w.mutable_value(); });
  check_door([](Tensor& w) { return (w + 0).value(); });
  check_door([](Tensor& w) {
    const std::string path = "exact_table.safetensors";
    save_safetensors(path, {{"w", w}});
    const Array saved = load_safetensors(path).tensors.at("w");
    std::remove(path.c_str());
    return saved;
  });
  check_door([](Tensor& w) {  // settled before a gradient of another kind arrives
    w.mutable_grad() = Tensor(full({kRows, kWidth}, 0));
    SGD({w}, {1}).step();
    return Array(w.value());
  });
}

TEST_CASE("exact: an optimizer settles the table before it dies", "[policies]") {
  for (const OptimizerKind& kind : optimizer_kinds()) {
    INFO(kind.name);
    Tensor w = table(1);
    Array expected;
    {
      Tensor same = table(1);
      const auto optimizer = run_away(same, kind, 20);
      expected = same.value();
    }
    run_away(w, kind, 20).reset();
    CHECK(w.node()->before_read == nullptr);
    CHECK(w.value() == expected);
  }
}

TEST_CASE("exact: a table that also gets dense gradients", "[policies]") {
  for (const OptimizerKind& kind : optimizer_kinds()) {
    INFO(kind.name);
    for (int first_dense : {0, 4}) {
      Tensor a = table(1), b = table(1);
      const auto exact = kind.make({a}, SparsePolicy::kExact),
                 reference = kind.make({b}, SparsePolicy::kLazy);
      Generator g(6);
      for (int step = 0; step < 60; ++step) {
        const RowSparse rows = rows_of(zipf(3, g), g);
        a.mutable_grad() = step % 7 == first_dense ? Gradient(dense(rows)) : Gradient(rows);
        b.mutable_grad() = dense(rows);
        exact->step();
        reference->step();
      }
      check_equal(a.value(), b.value());
    }
  }
}

TEST_CASE("exact: the rule that asks for nothing but update() is right, too", "[policies]") {
  // w -= lr * sqrt(t) * tanh(b), b = 0.5 b + g: not linear, and different with every step
  class Rule : public UpdateRule {
   public:
    explicit Rule(const Tensor& w) : b_(w.size()) {}
    void begin_step(std::size_t, double lr, double, std::size_t t) override {
      rate_ = lr * std::sqrt(double(t));
    }
    void update(std::size_t, std::size_t at, std::size_t n, Real* w, const Real* g, bool) override {
      for (std::size_t i = 0; i < n; ++i) {
        Real& b = b_.data()[at + i];
        b = Real(0.5) * b + g[i];
        w[i] -= static_cast<Real>(rate_) * std::tanh(b);
      }
    }
    std::vector<Kept> state(std::size_t) override { return {{"b", b_.data()}}; }

   private:
    double rate_ = 0;
    Zeros<Real> b_;
  };
  Tensor a = table(1), b = table(1);
  auto exact = std::make_unique<Optimizer>(ParamGroups{a}, 0.1, 0, SparsePolicy::kExact,
                                           std::make_unique<Rule>(a));
  Optimizer reference({b}, 0.1, 0, SparsePolicy::kDensify, std::make_unique<Rule>(b));
  Generator g(7);
  for (int step = 0; step < 100; ++step) {
    a.mutable_grad() = b.mutable_grad() = rows_of(zipf(2, g), g);
    exact->step();
    reference.step();
  }
  exact.reset();  // which settles by itself: there is nothing that a rule could forget
  CHECK((a.node()->value == b.value()));  // the same arithmetic, later
}

TEST_CASE("exact: a table has one such optimizer at a time", "[policies]") {
  Tensor v = table(1), w = table(2);
  auto first = run_away(w, momentum_kind(), 1);
  const auto second = momentum_kind().make({v, w}, SparsePolicy::kExact);
  Generator g(1);
  v.mutable_grad() = w.mutable_grad() = rows_of(Indices{1}, g);
  const Array before = w.value();
  try {
    second->step();
    FAIL("nothing was thrown");
  } catch (const std::logic_error& e) {
    CHECK(e.what() ==
          std::string("step: another optimizer with SparsePolicy::kExact owes this table's rows "
                      "their steps; destroy that one first"));
  }
  CHECK(v.value() == table(1).value());
  CHECK(w.value() == before);
  first.reset();
  second->step();
  CHECK(w.value() != before);
}

TEST_CASE("exact: what a step costs depends on the rows, not on the table", "[policies]") {
  for (const OptimizerKind& kind : optimizer_kinds()) {
    INFO(kind.name);
    SkippedRows cost[2];
    for (std::size_t large : {0, 1}) {
      const std::size_t num_rows = large ? 20000 : kRows;
      Tensor w(full({num_rows, kWidth}, 1), true);
      const auto optimizer = kind.make({w}, SparsePolicy::kExact);
      Generator g(8);
      for (int step = 0; step < 100; ++step) {
        w.mutable_grad() = rows_of(zipf(4, g), g, num_rows);
        optimizer->step();
      }
      cost[large] = optimizer->skipped_rows();
    }
    CHECK(cost[0].rows == cost[1].rows);
    CHECK(cost[0].replayed == cost[1].replayed);
  }
}

TEST_CASE("exact: a long absence is not replayed step by step", "[policies]") {
  const auto replayed = [](const OptimizerKind& kind, std::size_t missed) {
    Tensor w = table(1);
    const auto optimizer = run_away(w, kind, missed);
    gather_rows(w, Indices{0});
    CHECK(optimizer->skipped_rows().rows == 1);
    return optimizer->skipped_rows().replayed;
  };
  CHECK(replayed(momentum_kind(), 5000) == 0);
  RmspropOptions o;
  o.momentum = 0.9;
  CHECK(replayed(optimizer_kind<RMSprop>("RMSprop", o), 5000) == 0);
  const std::size_t bound = sizeof(Real) == 4 ? 207 : 399;
  CHECK(replayed(adam_kind(), 100) == 100);
  CHECK(replayed(adam_kind(), 600) == bound);
  CHECK(replayed(adam_kind(), 5000) == bound);
  CHECK(replayed(adam_kind(0.1), 5000) == 5000);  // L2: there is no shorter way
}

TEST_CASE("exact: Adam after a longer absence than it replays", "[policies]") {
  for (double weight_decay : {0., 0.5}) {  // which keeps 0.95 of w a step, close to what m keeps
    INFO(weight_decay);
    AdamOptions o;
    o.lr = 0.1;
    o.weight_decay = weight_decay;
    const OptimizerKind kind = optimizer_kind<AdamW>("AdamW", o);
    Tensor a = table(1), b = table(1);
    const auto exact = kind.make({a}, SparsePolicy::kExact),
               reference = kind.make({b}, SparsePolicy::kDensify);
    Generator g(12);
    const auto step = [&](const Indices& ids) {
      a.mutable_grad() = b.mutable_grad() = rows_of(ids, g);
      exact->step();
      reference->step();
    };
    step(Indices{0, 1, 2});
    for (int i = 0; i < 1200; ++i) {
      if (i == 1100) {
        exact->set_lr(0.001);
        reference->set_lr(0.001);
      }
      step(Indices{0});
    }
    check_equal(gather_rows(a, Indices{1}).value(), gather_rows(b, Indices{1}).value());
    step(Indices{1, 2});
    CHECK(exact->skipped_rows().replayed < 2 * (sizeof(Real) == 4 ? 500 : 900));
    check_equal(a.value(), b.value());
  }
}

TEST_CASE("exact: rows that never had a gradient cost no memory", "[policies]") {
  const auto resident = [] { return static_cast<double>(tests::pages().resident) / 1e6; };  // MB
  if (resident() == 0) {
    WARN("skipped: no /proc/self/statm");
    return;
  }
  if (tests::reading_takes_memory()) {
    WARN("skipped: this kernel takes memory for pages that are only read");
    return;
  }
  const std::size_t num_rows = 100000, width = 64;  // the stamps, a number a row, are little
  Tensor w(full({num_rows, width}, 1), true);
  const double state = 2. * double(num_rows * width * sizeof(Real)) / 1e6;
  const double before = resident();
  AdamOptions o;
  o.weight_decay = 0.01;
  o.policy = SparsePolicy::kExact;
  AdamW adam({w}, o);
  for (std::int64_t id : {3, 90000, 3, 50000}) {
    w.mutable_grad() = RowSparse{Indices{id}, Tensor(full({1, width}, 1)), num_rows};
    adam.step();
  }
  w.value();  // decays every row, but writes no moments
  CHECK(adam.skipped_rows().rows >= num_rows);
  CHECK(adam.skipped_rows().replayed < 20);
  INFO(state << " MB of state");
  CHECK(resident() - before < state / 10);
}

TEST_CASE("optimizers count the rows that move without a gradient", "[policies]") {
  const auto count = [](const OptimizerKind& kind, SparsePolicy policy) {
    Tensor w = table(1);
    const auto optimizer = kind.make({w}, policy);
    Generator g(9);
    for (int step = 0; step < 2; ++step) {
      w.mutable_grad() = rows_of(Indices{1, 1, step}, g);
      optimizer->step();
    }
    w.value();
    return optimizer->skipped_rows().rows;
  };
  const OptimizerKind plain{"SGD", [](Tensors parameters, SparsePolicy policy) {
                              SgdOptions o{0.1, 0, false, 0, policy};
                              return std::make_unique<SGD>(std::move(parameters), o);
                            }};
  CHECK(count(momentum_kind(), SparsePolicy::kLazy) == 0);
  CHECK(count(momentum_kind(), SparsePolicy::kDensify) == (kRows - 2) + (kRows - 1));
  CHECK(count(momentum_kind(), SparsePolicy::kExact) == 1);  // row 0, in the second step
  CHECK(count(plain, SparsePolicy::kDensify) == 0);
  CHECK(count(plain, SparsePolicy::kExact) == 0);
}

TEST_CASE("missed steps are multiplied in blocks", "[policies]") {
  struct Linear : Shortcuts {
    LinearStep missed_step(double lr, double) const override { return {1 - lr, -lr, 0.1, 0.9}; }
  } linear;
  MissedSteps missed(linear, 0, 0);
  std::vector<double> rates;
  Generator g(10);
  for (std::size_t now : {0, 77}) {
    missed.forget(now);
    rates.clear();
    for (int i = 0; i < 300; ++i) {
      rates.push_back(0.1 * g.uniform());
      missed.remember(rates.back());
    }
    for (int round = 0; round < 300; ++round) {
      const std::size_t from = g.below(301), to = from + g.below(301 - from);
      LinearStep expected;
      for (std::size_t i = from; i < to; ++i)
        expected = then(expected, linear.missed_step(rates[i], 0));
      const LinearStep got = missed.product(now + from, now + to);
      CHECK_THAT(got.ww, WithinAbs(expected.ww, 1e-14));
      CHECK_THAT(got.wb, WithinAbs(expected.wb, 1e-14));
      CHECK_THAT(got.bw, WithinAbs(expected.bw, 1e-14));
      CHECK_THAT(got.bb, WithinAbs(expected.bb, 1e-14));
      if (from < to) CHECK(missed.lr(now + to) == rates[to - 1]);
    }
  }
}

namespace {

const std::pair<SparsePolicy, const char*> kPolicies[] = {{SparsePolicy::kLazy, "lazy"},
                                                          {SparsePolicy::kExact, "exact"},
                                                          {SparsePolicy::kDensify, "densify"}};

// The optimizers of the page, at a learning rate of 0.1.
std::vector<OptimizerKind> kinds_of_page() {
  const auto sgd = [](const char* name, double momentum, double decay) {
    return OptimizerKind{name, [=](Tensors parameters, SparsePolicy policy) {
                           SgdOptions o{0.1, momentum, false, decay, policy};
                           return std::make_unique<SGD>(std::move(parameters), o);
                         }};
  };
  AdagradOptions adagrad;
  RmspropOptions rmsprop, rmsprop_momentum;
  AdamOptions adam, decay;
  adagrad.lr = rmsprop.lr = rmsprop_momentum.lr = adam.lr = decay.lr = 0.1;
  rmsprop.alpha = rmsprop_momentum.alpha = 0.9;
  rmsprop_momentum.momentum = 0.9;
  decay.weight_decay = 0.1;
  return {sgd("SGD", 0, 0),
          sgd("SGD, momentum 0.9", 0.9, 0),
          sgd("SGD, weight decay 0.1", 0, 0.1),
          optimizer_kind<Adagrad>("Adagrad", adagrad),
          optimizer_kind<RMSprop>("RMSprop", rmsprop),
          optimizer_kind<RMSprop>("RMSprop, momentum 0.9", rmsprop_momentum),
          optimizer_kind<Adam>("Adam", adam),
          optimizer_kind<AdamW>("AdamW, weight decay 0.1", decay),
          optimizer_kind<Adam>("Adam, weight decay 0.1 (L2)", decay)};
}

// One row for each optimizer: rows 1 and 2 after ten steps, and how many skipped rows moved.
std::string example_of_page() {
  std::string lines =
      "| optimizer | row 1: lazy | exact | densify | row 2: lazy | exact | densify | skipped rows "
      "moved: exact | densify |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const OptimizerKind& kind : kinds_of_page()) {
    std::string values[2], moved;
    for (const auto& [policy, name] : kPolicies) {
      Tensor w(full({4, 1}, 1), true);
      const auto optimizer = kind.make({w}, policy);
      for (int step = 0; step < 10; ++step) {
        const Indices ids = step == 0 ? Indices{0, 1} : Indices{0};
        w.mutable_grad() = RowSparse{ids, Tensor(full({ids.size(), 1}, 1)), 4};
        optimizer->step();
      }
      for (std::size_t row : {1, 2}) {
        char text[32];
        std::snprintf(text, sizeof text, "%.4f", double(w.value()(row, 0)));
        values[row - 1] += std::string(" ") + text + " |";
      }
      if (policy != SparsePolicy::kLazy)
        moved += message(' ', optimizer->skipped_rows().rows, " |");
    }
    lines += "| " + kind.name + " |" + values[0] + values[1] + moved + '\n';
  }
  return lines;
}

// One row for each optimizer: what 300 steps cost.
std::string cost_of_page() {
  std::string lines =
      "| optimizer | rows touched | rows caught up | updates replayed for them | updates by "
      "densify "
      "|\n"
      "| --- | --- | --- | --- | --- |\n";
  constexpr std::size_t num_rows = 2000;
  for (const OptimizerKind& kind : kinds_of_page()) {
    Tensor w(full({num_rows, 1}, 1), true);
    const auto optimizer = kind.make({w}, SparsePolicy::kExact);
    Generator g(11);
    std::size_t touched = 0;
    for (int step = 0; step < 300; ++step) {
      Indices ids = empty<Indices>({30});
      for (std::int64_t& id : ids)
        id = static_cast<std::int64_t>(num_rows * std::pow(g.uniform(), 5));
      w.mutable_grad() = RowSparse{ids, Tensor(full({30, 1}, 1)), num_rows};
      touched += describe(w.grad()).distinct;
      optimizer->step();
    }
    lines += message("| ", kind.name, " | ", touched, " | ", optimizer->skipped_rows().rows, " | ",
                     optimizer->skipped_rows().replayed, " | ", 300 * num_rows, " |\n");
  }
  return lines;
}

}  // namespace

TEST_CASE("docs/sparse-gradients.md shows what the policies do, and what exact costs",
          "[policies]") {
  std::ifstream file(GRADWALK_SOURCE_DIR "/docs/sparse-gradients.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::string example = example_of_page(), cost = cost_of_page();
  INFO(example << cost);
  CHECK(page.find(example) != std::string::npos);
  if (sizeof(Real) == sizeof(double)) CHECK(page.find(cost) != std::string::npos);
}
