// Parameter groups and schedules. Their numbers are compared with PyTorch's in test_pytorch.cpp.
#include <cmath>
#include <limits>
#include <memory>

#include "core/core.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

constexpr std::size_t kRows = 9, kWidth = 3;

Tensor table(std::uint64_t seed) {
  Generator g(seed);
  return Tensor(normal({kRows, kWidth}, g), true);
}

Tensor number() { return Tensor(full({1}, 1), true); }

RowSparse random_rows(Generator& g) {
  Indices rows = empty<Indices>({g.below(5)});
  for (std::int64_t& row : rows) row = static_cast<std::int64_t>(g.below(kRows));
  const std::size_t n = rows.size();
  return {std::move(rows), Tensor(normal({n, kWidth}, g)), kRows};
}

// Two tables in two groups of one optimizer fare as in two optimizers. make(parameters or groups,
// lr, weight_decay, policy)
template <class Make>
void check_groups(Make make) {
  for (SparsePolicy policy : {SparsePolicy::kLazy, SparsePolicy::kExact, SparsePolicy::kDensify}) {
    INFO("policy " << static_cast<int>(policy));
    const Tensor a = table(1), b = table(2), alone_a = table(1), alone_b = table(2);
    {
      const std::vector<ParamGroup> groups{{{a}, 0.05, 0.}, {{b}, {}, 0.4}};
      const auto both = make(groups, 0.1, 0.2, policy);
      const auto for_a = make(Tensors{alone_a}, 0.05, 0., policy),
                 for_b = make(Tensors{alone_b}, 0.1, 0.4, policy);
      StepLR schedule(*both, 10, 0.5), schedule_a(*for_a, 10, 0.5), schedule_b(*for_b, 10, 0.5);
      Generator g(3);
      for (int step = 0; step < 40; ++step) {
        const RowSparse ga = random_rows(g), gb = random_rows(g);
        Tensor(a).mutable_grad() = ga;
        Tensor(alone_a).mutable_grad() = ga;
        Tensor(b).mutable_grad() = gb;
        Tensor(alone_b).mutable_grad() = gb;
        for (Optimizer* optimizer : {both.get(), for_a.get(), for_b.get()}) optimizer->step();
        for (StepLR* s : {&schedule, &schedule_a, &schedule_b}) s->step();
      }
    }
    CHECK((a.value() == alone_a.value()));
    CHECK((b.value() == alone_b.value()));
    CHECK((a.value() != table(1).value()));
    CHECK((b.value() != table(2).value()));
  }
}

template <class O, class Options>
void check_groups_of(Options options) {
  check_groups([options](const auto& parameters, double lr, double decay, SparsePolicy policy) {
    Options with = options;
    with.lr = lr;
    with.weight_decay = decay;
    with.policy = policy;
    return std::make_unique<O>(parameters, with);
  });
}

}  // namespace

TEST_CASE("parameter groups have settings of their own under every policy", "[schedule]") {
  for (double momentum : {0., 0.9}) {
    INFO("momentum " << momentum);
    check_groups([=](const auto& parameters, double lr, double decay, SparsePolicy policy) {
      return std::make_unique<SGD>(parameters, SgdOptions{lr, momentum, false, decay, policy});
    });
    RmspropOptions rmsprop;
    rmsprop.momentum = momentum;
    check_groups_of<RMSprop>(rmsprop);
  }
  check_groups_of<Adam>(AdamOptions{});
  check_groups_of<AdamW>(AdamOptions{});
  check_groups_of<Adagrad>(AdagradOptions{});
}

TEST_CASE("exact with groups and a schedule is the dense optimizer", "[schedule]") {
  const auto train = [](SparsePolicy policy) {
    const Tensor a = table(1), b = table(2);
    SgdOptions options;
    options.lr = 0.1;
    options.momentum = 0.9;
    options.policy = policy;
    {
      SGD sgd({{{a}, 0.05, 0.3}, {{b}}}, options);
      CosineAnnealingLR schedule(sgd, 40);
      Generator g(3);
      for (int step = 0; step < 40; ++step) {
        Tensor(a).mutable_grad() = random_rows(g);
        Tensor(b).mutable_grad() = random_rows(g);
        sgd.step();
        schedule.step();
      }
    }
    return concat({a, b}, 0).value();
  };
  const Array exact = train(SparsePolicy::kExact), reference = train(SparsePolicy::kDensify);
  for (std::size_t i = 0; i < exact.size(); ++i)
    CHECK_THAT(double(exact.data()[i]),
               WithinAbs(double(reference.data()[i]), sizeof(Real) == 4 ? 1e-5 : 1e-12));
}

TEST_CASE("a learning rate is set for all groups or for one", "[schedule]") {
  SGD sgd({{{number()}}, {{number()}, 0.25}}, {0.5});
  REQUIRE(sgd.num_groups() == 2);
  CHECK(sgd.lr() == 0.5);
  CHECK(sgd.lr(1) == 0.25);
  sgd.set_lr(0.125, 1);
  CHECK(sgd.lr(0) == 0.5);
  CHECK(sgd.lr(1) == 0.125);
  sgd.set_lr(2);
  CHECK(sgd.lr(0) == 2);
  CHECK(sgd.lr(1) == 2);
}

TEST_CASE("warm-up and decay are chained", "[schedule]") {
  SGD sgd({number()}, {1});
  CosineAnnealingLR cosine(sgd, 4);
  LinearLR warmup(sgd, 0.5, 1, 2);
  const auto step = [&] {
    warmup.step();
    cosine.step();
    return sgd.lr();
  };
  CHECK(sgd.lr() == 0.5);
  CHECK_THAT(step(), WithinRel(0.75 * (1 + std::sqrt(0.5)) / 2, 1e-12));
  CHECK_THAT(step(), WithinRel(0.5, 1e-12));
  CHECK_THAT(step(), WithinRel((1 - std::sqrt(0.5)) / 2, 1e-12));
  CHECK_THAT(step(), WithinAbs(0, 1e-12));
}

TEST_CASE("what groups and schedules refuse, and their words", "[schedule]") {
  const Tensor w = number();
  CHECK(error_of([&] {
          SGD({{{w}}, {{w}, 0.5}}, {1});
        }) == "optimizer: a parameter [1] is listed twice");
  CHECK(error_of([&] {
          SGD({{{w}, {}, -0.5}}, {1});
        }) == "optimizer: weight_decay of group 0 must be in [0, inf), got -0.5");
  CHECK(error_of([&] {
          SGD({{{w}, -0.5}}, {1});
        }) == "optimizer: lr of group 0 must be in [0, inf), got -0.5");
  SGD sgd({w}, {1});
  CHECK(error_of([&] { sgd.set_lr(0.5, 1); }) == "set_lr: group 1 is outside 1 groups");
  CHECK(error_of([&] { sgd.lr(1); }) == "lr: group 1 is outside 1 groups");
  CHECK(error_of([&] { StepLR(sgd, 0); }) == "step_lr: step_size must be positive");
  CHECK(error_of([&] { CosineAnnealingLR(sgd, 5, -1); }) ==
        "cosine_annealing_lr: eta_min must be in [0, inf), got -1");
  CHECK(error_of([&] { CosineAnnealingLR(sgd, 0); }) ==
        "cosine_annealing_lr: T_max must be positive");
  CHECK(error_of([&] { LinearLR(sgd, 0.5, 1, 0); }) == "linear_lr: total_iters must be positive");
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto check_range = [&](const std::string& name, double end, const auto& make) {
    for (double bad : {-1., -kInf, kInf, double(std::nan("")), end})
      CHECK(error_of([&] { make(bad); }) == message(name, " must be in [0, ", end, "), got ", bad));
    make(0);
  };
  check_range("step_lr: gamma", kInf, [&](double gamma) { StepLR(sgd, 1, gamma); });
  check_range("cosine_annealing_lr: eta_min", kInf,
              [&](double eta_min) { CosineAnnealingLR(sgd, 5, eta_min); });
  const auto plateau = [&](double ReduceLROnPlateauOptions::*option) {
    return [&sgd, option](double value) {
      ReduceLROnPlateauOptions options;
      options.*option = value;
      ReduceLROnPlateau(sgd, options);
    };
  };
  using Plateau = ReduceLROnPlateauOptions;
  check_range("reduce_lr_on_plateau: factor", 1, plateau(&Plateau::factor));
  check_range("reduce_lr_on_plateau: threshold", kInf, plateau(&Plateau::threshold));
  check_range("reduce_lr_on_plateau: min_lr", kInf, plateau(&Plateau::min_lr));
  check_range("reduce_lr_on_plateau: eps", kInf, plateau(&Plateau::eps));
  for (double bad : {-1., 0., 1.5, kInf, double(std::nan(""))})
    CHECK(error_of([&] { LinearLR(sgd, bad); }) ==
          message("linear_lr: start_factor must be in (0, 1] and end_factor in [0, 1], got ", bad,
                  " and 1"));
  for (double bad : {-1., 1.5, kInf, double(std::nan(""))})
    CHECK(
        error_of([&] { LinearLR(sgd, 0.5, bad); }) ==
        message("linear_lr: start_factor must be in (0, 1] and end_factor in [0, 1], got 0.5 and ",
                bad));
  CHECK(sgd.lr() == 1);
}

TEST_CASE("a schedule that goes wrong in one group leaves all as they were", "[schedule]") {
  SGD sgd({{{number()}}, {{number()}, 0.25}}, {0.5});
  double rate = 0;
  LRScheduler schedule(sgd,
                       [&](std::size_t, double, double base) { return base == 0.25 ? rate : 1; });
  const StateDict before = schedule.state_dict();
  for (double bad : {-1., double(std::nan("")), std::numeric_limits<double>::infinity()}) {
    rate = bad;
    CHECK(error_of([&] { schedule.step(); }) ==
          message("step: lr of group 1 must be in [0, inf), got ", bad));
    CHECK(sgd.lr(0) == 0.5);
    CHECK(sgd.lr(1) == 0.25);
    CHECK(schedule.state_dict()[0].second.value() == before[0].second.value());
  }
}

TEST_CASE("a schedule is a function of the epoch", "[schedule]") {
  SGD sgd({{{number()}}, {{number()}, 0.25}}, {0.5});
  LRScheduler schedule(sgd, [](std::size_t t, double, double base) { return base / double(t); });
  for (int epoch = 0; epoch < 4; ++epoch) schedule.step();
  CHECK(sgd.lr(0) == 0.125);
  CHECK(sgd.lr(1) == 0.0625);
}
