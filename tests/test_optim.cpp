// Optimizers on dense and row-sparse gradients, and clipping. Their numbers are compared with
// PyTorch's in test_pytorch.cpp.
#include <cmath>
#include <limits>
#include <memory>

#include "core/core.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/optimizer_kinds.hpp"

using namespace gradwalk;

namespace {

constexpr std::size_t kRows = 9, kWidth = 3;

Tensor start() {
  Generator g(1);
  return Tensor(normal({kRows, kWidth}, g), true);
}

// The gradient of one step: up to 6 rows of the first `below`, with repeats, perhaps none.
RowSparse random_rows(Generator& g, std::size_t below = kRows) {
  Indices rows = empty<Indices>({g.below(7)});
  for (std::int64_t& row : rows) row = static_cast<std::int64_t>(g.below(below));
  const std::size_t n = rows.size();
  return {std::move(rows), Tensor(normal({n, kWidth}, g)), kRows};
}

}  // namespace

TEST_CASE("the values of a gradient set by hand may be a table", "[optim]") {
  SECTION("the one that moves: each row reads what was there before the step") {
    const Tensor w(Array{{1, 2}, {10, 20}}, true);
    SGD sgd({w}, {1});
    Tensor(w).mutable_grad() = RowSparse{Indices{1, 0}, w, 2};
    sgd.step();
    sgd.zero_grad();  // or w would own itself and never be freed
    const Array expected{{-9, -18}, {9, 18}};
    CHECK((w.value() == expected));
  }
  SECTION("one that catches up when it is read: at the learning rate of its own steps") {
    const auto run = [](bool sparse, bool copy) {
      Tensor table = start(), other = start();
      AdamOptions options{0.1};
      options.policy = SparsePolicy::kExact;
      Adam adam({other, table}, options);
      for (const std::int64_t row : {0, 1, 2}) {
        table.mutable_grad() = RowSparse{Indices{row}, Tensor(full({1, kWidth}, 1)), kRows};
        adam.step();
      }
      table.zero_grad();
      adam.set_lr(0.001);
      const Tensor values = copy ? table.detach() : table;
      if (sparse)
        other.mutable_grad() = RowSparse{Indices{0, 1, 2, 3, 4, 5, 6, 7, 8}, values, kRows};
      else
        other.mutable_grad() = values;
      adam.step();
      return other.value();
    };
    for (const bool sparse : {true, false}) CHECK((run(sparse, false) == run(sparse, true)));
  }
}

TEST_CASE("densify: sparse gradients do exactly what dense ones do", "[optim]") {
  for (const OptimizerKind& kind : optimizer_kinds()) {
    INFO(kind.name);
    Tensor a = start(), b = start();
    const auto on_sparse = kind.make({a}, SparsePolicy::kDensify),
               on_dense = kind.make({b}, SparsePolicy::kLazy);
    Generator g(2);
    for (int step = 0; step < 50; ++step) {
      const RowSparse rows = random_rows(g);
      a.mutable_grad() = rows;
      b.mutable_grad() = dense(rows);
      on_sparse->step();
      on_dense->step();
    }
    CHECK(a.value() == b.value());
    CHECK(a.value() != start().value());
  }
}

TEST_CASE("lazy: rows without a gradient keep every bit", "[optim]") {
  for (const OptimizerKind& kind : optimizer_kinds()) {
    INFO(kind.name);
    Tensor w = start();
    const auto optimizer = kind.make({w}, SparsePolicy::kLazy);
    Generator g(3);
    for (int step = 0; step < 50; ++step) {
      const Array before = w.value();
      const RowSparse rows = random_rows(g);
      w.mutable_grad() = rows;
      optimizer->step();
      for (std::size_t v = 0; v < kRows; ++v) {
        const bool touched =
            std::count(rows.rows.begin(), rows.rows.end(), static_cast<std::int64_t>(v)) > 0;
        for (std::size_t d = 0; d < kWidth; ++d)
          CHECK((w.value()(v, d) != before(v, d)) == touched);
      }
    }
  }
}

TEST_CASE("lazy: a table of which every row is touched takes the dense step", "[optim]") {
  for (const OptimizerKind& kind : optimizer_kinds()) {
    INFO(kind.name);
    Tensor a = start(), b = start();
    const auto lazy = kind.make({a}, SparsePolicy::kLazy),
               reference = kind.make({b}, SparsePolicy::kLazy);
    Generator g(4);
    for (int step = 0; step < 20; ++step) {
      Indices all = empty<Indices>({2 * kRows});  // each row twice
      for (std::size_t i = 0; i < all.size(); ++i)
        all.data()[i] = static_cast<std::int64_t>((i * 4) % kRows);
      const RowSparse rows{all, Tensor(normal({all.size(), kWidth}, g)), kRows};
      a.mutable_grad() = rows;
      b.mutable_grad() = dense(rows);
      lazy->step();
      reference->step();
    }
    for (std::size_t i = 0; i < a.size(); ++i)
      CHECK_THAT(double(a.value().data()[i]),
                 WithinAbs(double(b.value().data()[i]), sizeof(Real) == 4 ? 1e-5 : 1e-8));
  }
}

TEST_CASE("an optimizer moves what has a gradient, and takes its learning rate", "[optim]") {
  Tensor moved(full({2}, 1), true), still(full({2}, 1), true), frozen(full({2}, 1));
  SGD sgd({moved, still, frozen}, {0.5});
  CHECK(sgd.lr() == 0.5);
  moved.mutable_grad() = Tensor(full({2}, 1));
  sgd.step();
  CHECK(moved.value() == full({2}, Real(0.5)));
  sgd.set_lr(0.25);
  sgd.step();
  CHECK(moved.value() == full({2}, Real(0.25)));
  CHECK(still.value() == full({2}, 1));
  CHECK(frozen.value() == full({2}, 1));
  sgd.zero_grad();
  CHECK(std::holds_alternative<std::monostate>(moved.grad()));
  sgd.step();
  CHECK(moved.value() == full({2}, Real(0.25)));
}

TEST_CASE("AdamW decays by 0.01 unless told otherwise, Adam does not", "[optim]") {
  for (bool decoupled : {false, true}) {
    Tensor w(full({1}, 1), true);
    std::unique_ptr<Optimizer> optimizer;
    if (decoupled) optimizer = std::make_unique<AdamW>(Tensors{w}, AdamOptions{1e-2});
    if (!decoupled) optimizer = std::make_unique<Adam>(Tensors{w}, AdamOptions{1e-2});
    CHECK(optimizer->lr() == 1e-2);
    w.mutable_grad() = Tensor(full({1}, 0));
    optimizer->step();
    CHECK_THAT(double(w.item()), WithinAbs(decoupled ? 1 - 1e-4 : 1, 1e-7));
  }
}

TEST_CASE("a step between forward and backward is noticed", "[optim]") {
  Tensor w(full({1}, 1), true);
  SGD sgd({w}, {0.1});
  for (const Gradient& g :
       {Gradient(Tensor(full({1}, 1))), Gradient(RowSparse{Indices{0}, Tensor(full({1}, 1)), 1})}) {
    const Tensor loss = sum(w * w);
    w.mutable_grad() = g;
    sgd.step();
    CHECK_THAT(error_of([&] { backward(loss); }), ContainsText("changed in place"));
  }
}

TEST_CASE("clipping adds repeated rows up before it squares", "[optim]") {
  Tensor w(full({4, 2}, 0), true), b(full({2}, 0), true);
  const auto give = [&] {
    w.mutable_grad() = RowSparse{Indices{2, 0, 2}, Tensor(Array{{1, 0}, {4, 0}, {2, 0}}), 4};
    b.mutable_grad() = Tensor(full({2}, 0));
  };
  give();
  CHECK_THAT(clip_grad_norm({w, b}, 10), WithinAbs(5, 1e-6));
  CHECK((dense(w.grad()).value() == Array{{4, 0}, {0, 0}, {3, 0}, {0, 0}}));
  CHECK_THAT(clip_grad_norm({w, b}, 1), WithinAbs(5, 1e-6));
  CHECK_THAT(norm(w.grad()), WithinAbs(1, 1e-6));
  CHECK(std::get<RowSparse>(w.grad()).rows.size() == 2);
  CHECK(clip_grad_norm({Tensor(full({2}, 0), true), Tensor()}, 1) == 0);  // no gradients at all
}

TEST_CASE("clipping takes a slice of a gradient, too", "[optim]") {
  Tensor w(full({4}, 0), true);
  w.mutable_grad() = Slice{Tensor(Array{3, 4}), {4}, 0, 1};
  CHECK_THAT(clip_grad_norm({w}, 10), WithinAbs(5, 1e-6));
  clip_grad_value({w}, 3.5);
  CHECK((dense(w.grad()).value() == Array{0, 3, 3.5, 0}));
}

TEST_CASE("clipping does not touch a gradient that is not finite", "[optim]") {
  for (double bad :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    Tensor a(full({1}, 0), true), b(full({1}, 0), true);
    a.mutable_grad() = Tensor(full({1}, 100));
    b.mutable_grad() = Tensor(full({1}, Real(bad)));
    CHECK_THAT(error_of([&] {
                 clip_grad_norm({a, b}, 1);
               }),
               ContainsText("clip_grad_norm: the gradients' norm is "));
    CHECK(dense(a.grad()).value()(0) == 100);
  }
}

TEST_CASE("clip_grad_value moves every number into its bounds", "[optim]") {
  Tensor w(full({4, 2}, 0), true), b(full({3}, 0), true), still(full({1}, 0), true);
  w.mutable_grad() = RowSparse{Indices{2, 0, 2}, Tensor(Array{{1, 0}, {-4, 0.5}, {2, -1}}), 4};
  b.mutable_grad() = Tensor(Array{-2, 0.25, 9});
  clip_grad_value({w, b, still, Tensor(full({1}, 0))}, 1.5);
  CHECK((dense(w.grad()).value() == Array{{-1.5, 0.5}, {0, 0}, {1.5, -1}, {0, 0}}));
  CHECK(std::get<RowSparse>(w.grad()).rows.size() == 2);
  CHECK((dense(b.grad()).value() == Array{-1.5, 0.25, 1.5}));
}

TEST_CASE("Adam counts the steps of each parameter by itself", "[optim]") {
  Tensor early(full({1}, 1), true), late(full({1}, 1), true);
  Adam adam({early, late}, {0.5});
  for (int step = 0; step < 5; ++step) {
    early.mutable_grad() = Tensor(full({1}, 3));
    adam.step();
  }
  late.mutable_grad() = Tensor(full({1}, 3));
  adam.step();
  CHECK_THAT(double(late.item()), WithinAbs(0.5, 1e-6));  // a first step is lr long
}

TEST_CASE("what optimizers refuse, and their words", "[optim]") {
  const Tensor w(full({1}, 0), true);
  SgdOptions options;
  options.nesterov = true;
  CHECK(error_of([&] { SGD({w}, options); }) == "sgd: nesterov needs a momentum");
  CHECK(error_of([&] { clip_grad_value({w}, -2); }) ==
        "clip_grad_value: clip_value must be positive, got -2");
  CHECK(error_of([&] { SGD({Tensor(full({1}, 0))}, {1}); }) ==
        "optimizer: needs at least one parameter that requires a gradient");
  CHECK(error_of([&] { clip_grad_norm({w}, 0); }) ==
        "clip_grad_norm: max_norm must be positive, got 0");
}

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// An option takes what is in [0, end), and says so where it is not.
template <class O, class Options, class Value>
void check_range(const std::string& name, Value Options::*option, double end = kInf) {
  const Tensor w(full({1}, 0), true);
  const auto error = [&](double value) {
    Options options;
    options.*option = value;
    return error_of([&] { O({w}, options); });
  };
  for (double bad : {-1., -kInf, kInf, double(std::nan("")), end})
    CHECK(error(bad) == message(name, " must be in [0, ", end, "), got ", bad));
  if (end == kInf && sizeof(Real) == 4)  // it would become infinity
    CHECK(error(1e39) == name + " must be at most 3.40282e+38, got 1e+39");
  Options good;
  good.*option = 0;
  O({w}, good);
  good.*option = end == kInf ? 1e30 : 0.999;
  O({w}, good);
}

}  // namespace

TEST_CASE("every option of every optimizer has its range", "[optim]") {
  check_range<SGD>("sgd: lr", &SgdOptions::lr);
  check_range<SGD>("sgd: momentum", &SgdOptions::momentum);
  check_range<SGD>("sgd: weight_decay", &SgdOptions::weight_decay);
  check_range<Adam>("adam: lr", &AdamOptions::lr);
  check_range<Adam>("adam: beta1", &AdamOptions::beta1, 1);
  check_range<Adam>("adam: beta2", &AdamOptions::beta2, 1);
  check_range<Adam>("adam: eps", &AdamOptions::eps);
  check_range<Adam>("adam: weight_decay", &AdamOptions::weight_decay);
  check_range<AdamW>("adamw: beta1", &AdamOptions::beta1, 1);
  check_range<AdamW>("adamw: weight_decay", &AdamOptions::weight_decay);
  check_range<Adagrad>("adagrad: lr", &AdagradOptions::lr);
  check_range<Adagrad>("adagrad: lr_decay", &AdagradOptions::lr_decay);
  check_range<Adagrad>("adagrad: weight_decay", &AdagradOptions::weight_decay);
  check_range<Adagrad>("adagrad: initial_accumulator_value",
                       &AdagradOptions::initial_accumulator_value);
  check_range<Adagrad>("adagrad: eps", &AdagradOptions::eps);
  check_range<RMSprop>("rmsprop: lr", &RmspropOptions::lr);
  check_range<RMSprop>("rmsprop: alpha", &RmspropOptions::alpha, 1);
  check_range<RMSprop>("rmsprop: eps", &RmspropOptions::eps);
  check_range<RMSprop>("rmsprop: weight_decay", &RmspropOptions::weight_decay);
  check_range<RMSprop>("rmsprop: momentum", &RmspropOptions::momentum);
  SGD sgd({Tensor(full({1}, 0), true)}, {0.5});
  for (double bad : {-1., kInf, double(std::nan(""))})
    CHECK(error_of([&] { sgd.set_lr(bad); }) ==
          message("set_lr: lr must be in [0, inf), got ", bad));
  CHECK(sgd.lr() == 0.5);
}

TEST_CASE("limits of clipping are above zero, and infinity is none", "[optim]") {
  Tensor w(full({1}, 0), true);
  w.mutable_grad() = Tensor(full({1}, 100));
  for (double bad : {-1., 0., -kInf, double(std::nan(""))}) {
    CHECK(error_of([&] { clip_grad_norm({w}, bad); }) ==
          message("clip_grad_norm: max_norm must be positive, got ", bad));
    CHECK(error_of([&] { clip_grad_value({w}, bad); }) ==
          message("clip_grad_value: clip_value must be positive, got ", bad));
  }
  CHECK(clip_grad_norm({w}, kInf) == 100);
  clip_grad_value({w}, kInf);
  CHECK(dense(w.grad()).value()(0) == 100);
}

TEST_CASE("a parameter counts once, and from when it requires a gradient", "[optim]") {
  Tensor w(full({2}, 1), true), frozen(full({2}, 1));
  CHECK(error_of<std::invalid_argument>([&] {
          SGD({w, frozen, w}, {1});
        }) == "optimizer: a parameter [2] is listed twice");
  w.mutable_grad() = Tensor(Array{3, 4});
  CHECK(clip_grad_norm({w, w}, 1) == Approx(5));
  CHECK(norm(w.grad()) == Approx(1));

  SGD sgd({w, frozen}, {0.5});
  frozen.set_requires_grad(true);
  frozen.mutable_grad() = Tensor(full({2}, 1));
  sgd.step();
  CHECK(frozen.value()(0) == 0.5);
}

TEST_CASE("a gradient or a value that does not fit is refused before anything moves", "[optim]") {
  Tensor w(full({4, 2}, 1), true), other(full({1}, 1), true);
  Adam adam({other, w});
  other.mutable_grad() = Tensor(full({1}, 1));
  const auto step_with = [&](const Gradient& g) {
    w.mutable_grad() = g;
    return error_of([&] { adam.step(); });
  };
  CHECK(step_with(Tensor(full({2}, 1))) ==
        "step: a parameter [4, 2] needs a gradient of its shape, got a gradient [2]");
  CHECK(step_with(RowSparse{{1}, Tensor(full({1, 2}, 1)), 5}) ==
        "step: a parameter [4, 2] needs a gradient of its shape, got a gradient [5, 2]");
  CHECK(step_with(RowSparse{{4}, Tensor(full({1, 2}, 1)), 4}) ==
        "step: index 4 at [0] is outside a table of 4 rows");
  CHECK(step_with(RowSparse{{1}, Tensor(full({1, 3}, 1)), 4}) ==
        "step: a parameter [4, 2] needs a gradient of its shape, got a gradient [4, 3]");
  CHECK(step_with(RowSparse{{5}, Tensor(full({1, 1}, 1)), 8}) ==
        "step: a parameter [4, 2] needs a gradient of its shape, got a gradient [8, 1]");
  CHECK(step_with(Slice{Tensor(full({1, 2}, 1)), {4, 2}, 0, 4}) ==
        "step: a parameter [4, 2] needs a gradient of its shape, got a slice of [4, 2]");
  CHECK(step_with(RowSparse{{1, 2}, Tensor(full({1, 4}, 1)), 4}) ==
        "step: a parameter [4, 2] needs a gradient of its shape, got rows [2] with values [1, 4]");
  w.mutable_value() = full({9, 2}, 1);
  CHECK(step_with({}) == "step: a parameter [9, 2] was [4, 2] when the optimizer was made");
  w.mutable_value() = full({8, 1}, 1);  // as many numbers in more rows
  CHECK(step_with(RowSparse{{7}, Tensor(full({1, 1}, 1)), 8}) ==
        "step: a parameter [8, 1] was [4, 2] when the optimizer was made");
  CHECK(other.value()(0) == 1);
}

TEST_CASE("clipping refuses a gradient that does not fit, and changes nothing", "[optim]") {
  Tensor w(full({4, 2}, 1), true), other(full({1}, 1), true);
  other.mutable_grad() = Tensor(full({1}, 100));
  const auto clip_norm = [&] { clip_grad_norm({other, w}, 1); };
  const auto clip_value = [&] { clip_grad_value({other, w}, 1); };
  for (std::int64_t row : {std::int64_t{4}, std::int64_t{-1}, std::int64_t{900000000}}) {
    w.mutable_grad() = RowSparse{{row}, Tensor(full({1, 2}, 1)), 4};
    const std::string words = message(": index ", row, " at [0] is outside a table of 4 rows");
    CHECK(error_of<std::out_of_range>(clip_norm) == "clip_grad_norm" + words);
    CHECK(error_of<std::out_of_range>(clip_value) == "clip_grad_value" + words);
  }
  w.mutable_grad() = Tensor(full({2}, 1));
  CHECK(error_of(clip_norm) ==
        "clip_grad_norm: a parameter [4, 2] needs a gradient of its shape, got a gradient [2]");
  CHECK(dense(other.grad()).value()(0) == 100);
}

TEST_CASE("mse_loss keeps its gradient apart from .grad()", "[optim]") {
  Tensor x(Array{1, 2, 4}, true);
  const Tensor loss = mse_loss(x, Tensor(Array{0, 0, 1}), Reduction::kSum);
  for (int k = 0; k < 2; ++k) {  // the second walk finds what the first one found
    x.zero_grad();
    backward(loss, true);
    CHECK((dense(x.grad()).value() == Array{2, 4, 6}));
    clip_grad_norm({x}, 1);
    Gradient g = gradients(loss, {x}, false, true)[0];
    CHECK((dense(g).value() == Array{2, 4, 6}));
    std::get<Tensor>(g).mutable_value()(0) = 100;
  }
}
