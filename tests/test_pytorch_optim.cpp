// Optimizers, clipping and schedules against numbers that PyTorch computed.
#include "optim/optim.hpp"
#include "tests/golden.hpp"

using namespace golden;

TEST_CASE("ten steps of each optimizer as in PyTorch", "[pytorch]") {
  for_each_case("optimizer", [](const Case& c) {
    const Json& o = c["options"];
    // What PyTorch did with a dense gradient is kDensify and kExact, whatever form the gradient has
    // here; what it did with a sparse one, as in SparseAdam, is kLazy.
    for (SparsePolicy policy :
         {SparsePolicy::kLazy, SparsePolicy::kExact, SparsePolicy::kDensify}) {
      const bool lazy = policy == SparsePolicy::kLazy, sparse_here = c["sparse"] || !lazy;
      if (c["sparse"] && !lazy) continue;
      Tensor w = c.leaf("w0");
      std::unique_ptr<Optimizer> optimizer;
      if (c["name"] == "SGD") {
        SgdOptions options;
        options.lr = o["lr"];
        options.momentum = o.value("momentum", 0.);
        options.nesterov = o.value("nesterov", false);
        options.weight_decay = o.value("weight_decay", 0.);
        options.policy = policy;
        optimizer = std::make_unique<SGD>(Tensors{w}, options);
      } else if (c["name"] == "Adagrad") {
        AdagradOptions options;
        options.lr = o["lr"];
        options.lr_decay = o.value("lr_decay", 0.);
        options.weight_decay = o.value("weight_decay", 0.);
        options.initial_accumulator_value = o.value("initial_accumulator_value", 0.);
        options.eps = o.value("eps", 1e-10);
        options.policy = policy;
        optimizer = std::make_unique<Adagrad>(Tensors{w}, options);
      } else if (c["name"] == "RMSprop") {
        RmspropOptions options;
        options.lr = o["lr"];
        options.alpha = o.value("alpha", 0.99);
        options.eps = o.value("eps", 1e-8);
        options.weight_decay = o.value("weight_decay", 0.);
        options.momentum = o.value("momentum", 0.);
        options.centered = o.value("centered", false);
        options.policy = policy;
        optimizer = std::make_unique<RMSprop>(Tensors{w}, options);
      } else {
        AdamOptions options;
        options.lr = o["lr"];
        if (o.contains("betas")) options.beta1 = o["betas"][0], options.beta2 = o["betas"][1];
        options.eps = o.value("eps", 1e-8);
        if (o.contains("weight_decay")) options.weight_decay = o["weight_decay"].get<double>();
        options.policy = policy;
        if (c["name"] == "Adam") optimizer = std::make_unique<Adam>(Tensors{w}, options);
        if (c["name"] == "AdamW") optimizer = std::make_unique<AdamW>(Tensors{w}, options);
      }
      const Indices rows = c.indices("rows");
      const Tensor values = c.constant("values");
      for (std::size_t k = 0; k < values.shape(0); ++k) {
        Indices ids = empty<Indices>({3});
        std::copy_n(rows.data() + 3 * k, 3, ids.data());
        const RowSparse g{ids, reshape(slice(values, 0, k, k + 1), {3, 2}), 6};
        w.mutable_grad() = sparse_here ? Gradient(g) : Gradient(dense(g));
        optimizer->step();
      }
      check_equal(c, "w", w.value());
    }
  });
}

TEST_CASE("clipping as in PyTorch", "[pytorch][clip]") {
  for_each_case("clip", [](const Case& c) {
    Tensor a(full({6, 2}, 0), true), b(full({4}, 0), true), frozen(full({2}, 0));
    a.mutable_grad() = RowSparse{c.indices("rows"), c.constant("values"), 6};
    b.mutable_grad() = c.constant("gb");
    if (c["name"] == "clip_grad_norm") {
      const double total = clip_grad_norm({a, b, frozen}, c["most"]);
      check_equal(c, "total", full({}, Real(total)));
    } else {
      clip_grad_value({a, b, frozen}, c["most"]);
    }
    CHECK(std::holds_alternative<RowSparse>(a.grad()));
    check_equal(c, "clipped_a", gradient(a));
    check_equal(c, "clipped_b", gradient(b));
  });
}

TEST_CASE("parameter groups as in PyTorch", "[pytorch][schedule]") {
  for_each_case("param_groups", [](const Case& c) {
    const Array &w0 = c.array("w0"), &values = c.array("values");
    const auto part = [](const Array& a, std::size_t k) {
      Array one = empty({6, 2});
      std::copy_n(a.data() + 12 * k, 12, one.data());
      return one;
    };
    Tensors ws{Tensor(part(w0, 0), true), Tensor(part(w0, 1), true)};
    const std::vector<ParamGroup> groups{{{ws[0]}, 0.2}, {{ws[1]}, {}, 0.5}};
    std::unique_ptr<Optimizer> optimizer;
    const auto with = [](auto options) {
      options.lr = 0.1;
      options.weight_decay = 0.25;
      return options;
    };
    if (c["name"] == "SGD")
      optimizer = std::make_unique<SGD>(groups, SgdOptions{0.1, c["momentum"], false, 0.25});
    if (c["name"] == "Adam") optimizer = std::make_unique<Adam>(groups, with(AdamOptions{}));
    if (c["name"] == "AdamW") optimizer = std::make_unique<AdamW>(groups, with(AdamOptions{}));
    if (c["name"] == "Adagrad")
      optimizer = std::make_unique<Adagrad>(groups, with(AdagradOptions{}));
    if (c["name"] == "RMSprop") {
      RmspropOptions options = with(RmspropOptions{});
      options.momentum = c["momentum"];
      optimizer = std::make_unique<RMSprop>(groups, options);
    }
    for (std::size_t step = 0; step < 10; ++step) {
      for (std::size_t k : {0, 1}) ws[k].mutable_grad() = Tensor(part(values, 2 * step + k));
      optimizer->step();
    }
    check_equal(c, "w", stack(ws, 0).value());
  });
}

TEST_CASE("the learning rates of schedules as in PyTorch", "[pytorch][schedule]") {
  for_each_case("schedule", [](const Case& c) {
    SGD sgd({{{Tensor(full({1}, 0), true)}}, {{Tensor(full({1}, 0), true)}, 0.02}}, {0.5});
    std::vector<std::function<void(double)>> steps;  // of an epoch with this metric
    const auto add = [&](auto schedule) {
      steps.push_back([schedule](double) { schedule->step(); });
    };
    for (const Json& o : c["made"]) {
      if (o["name"] == "StepLR")
        add(std::make_shared<StepLR>(sgd, o["step_size"], o.value("gamma", 0.1)));
      if (o["name"] == "CosineAnnealingLR")
        add(std::make_shared<CosineAnnealingLR>(sgd, o["T_max"], o.value("eta_min", 0.)));
      if (o["name"] == "LinearLR") {
        add(std::make_shared<LinearLR>(sgd, o.value("start_factor", 1. / 3),
                                       o.value("end_factor", 1.), o.value("total_iters", 5)));
      }
      if (o["name"] == "ReduceLROnPlateau") {
        ReduceLROnPlateauOptions options;
        if (o.value("mode", "min") == "max") options.mode = PlateauMode::kMax;
        options.factor = o.value("factor", 0.1);
        options.patience = o["patience"];
        options.threshold = o.value("threshold", 1e-4);
        if (o.value("threshold_mode", "rel") == "abs") options.threshold_mode = ThresholdMode::kAbs;
        options.cooldown = o.value("cooldown", 0);
        options.min_lr = o.value("min_lr", 0.);
        options.eps = o.value("eps", 1e-8);
        const auto plateau = std::make_shared<ReduceLROnPlateau>(sgd, options);
        steps.push_back([plateau](double metric) { plateau->step(metric); });
      }
    }
    const Array &metrics = c.array("metrics"), &rates = c.array("rates");
    const double tolerance = sizeof(Real) == 4 ? 1e-7 : 1e-12;  // what reading rates has cost
    for (std::size_t epoch = 0; epoch < rates.size() / 2; ++epoch) {
      INFO("epoch " << epoch);
      for (std::size_t group : {0, 1})
        CHECK_THAT(sgd.lr(group), WithinAbs(double(rates.data()[2 * epoch + group]), tolerance));
      if (epoch < metrics.size()) {
        for (const auto& step : steps) step(double(metrics.data()[epoch]));
      }
    }
  });
}
