// Layers, losses, optimizers and clipping against numbers that PyTorch computed:
// tests/pytorch/golden.json, written by golden.py beside it.
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;
using Json = nlohmann::json;

namespace {

constexpr double kTolerance = sizeof(Real) == 4 ? 1e-5 : 1e-10;

template <class A = Array>
A array(const Json& json) {
  A a = empty<A>(json["shape"].get<Shape>());
  REQUIRE(json["data"].size() == a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    a.data()[i] = json["data"][i].get<typename A::value_type>();
  return a;
}

void check_equal(const char* what, const Array& got, const Json& expected_json,
                 double tolerance = kTolerance) {
  INFO(what);
  const Array expected = array(expected_json);
  REQUIRE(shape_of(got) == shape_of(expected));
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO("element " << i);
    const double e = double(expected.data()[i]);
    CHECK_THAT(double(got.data()[i]), WithinAbs(e, tolerance * std::max(1., std::abs(e))));
  }
}

// Each case of one kind; its options are shown where a check fails.
template <class F>
void for_each_case(const std::string& kind, F f) {
  static const Json golden =
      Json::parse(std::ifstream(GRADWALK_SOURCE_DIR "/tests/pytorch/golden.json"));
  int count = 0;
  for (const Json& c : golden) {
    if (c["kind"] != kind) continue;
    std::string options;
    for (const auto& [key, value] : c.items()) {
      if (!value.is_object() || !value.contains("data")) options += key + " " + value.dump() + "  ";
    }
    INFO(options);
    f(c);
    ++count;
  }
  REQUIRE(count > 0);
}

Reduction reduction(const Json& c) {
  const std::string name = c["reduction"];
  return name == "none" ? Reduction::kNone : name == "mean" ? Reduction::kMean : Reduction::kSum;
}

Array gradient(const Tensor& t) { return dense(t.grad()).value(); }

void check_loss(const Json& c, const Tensor& x, const Tensor& y) {
  check_equal("y", y.value(), c["y"]);
  backward(sum(y * Tensor(array(c["dy"]))));
  check_equal("dx", gradient(x), c["dx"]);
}

}  // namespace

TEST_CASE("embedding as in PyTorch", "[pytorch]") {
  for_each_case("embedding", [](const Json& c) {
    for (bool sparse : {true, false}) {
      EmbeddingOptions options;
      options.sparse = sparse;
      if (!c["padding_idx"].is_null()) options.padding_idx = c["padding_idx"].get<std::int64_t>();
      Generator g(1);
      Embedding layer(6, 3, g, options);
      layer.load_state_dict({{"weight", array(c["weight"])}});
      const Tensor y = layer(array<Indices>(c["ids"]));
      check_equal("y", y.value(), c["y"]);
      backward(sum(y * Tensor(array(c["dy"]))));
      CHECK(std::holds_alternative<RowSparse>(layer.weight().grad()) == sparse);
      check_equal("dweight", gradient(layer.weight()), c["dweight"]);
    }
  });
}

namespace {

void set(EmbeddingOptions& options, const Json& c) {
  if (c.contains("padding_idx")) options.padding_idx = c["padding_idx"].get<std::int64_t>();
  if (c.contains("max_norm")) options.max_norm = c["max_norm"].get<double>();
  options.norm_type = c.value("norm_type", 2.);
  options.scale_grad_by_freq = c.value("scale_grad_by_freq", false);
}

void check_table(const Json& c, const Tensor& weight, const Tensor& y, bool sparse) {
  check_equal("weight", weight.value(), c["weight"]);
  check_equal("y", y.value(), c["y"]);
  backward(sum(y * Tensor(array(c["dy"]))));
  CHECK(std::holds_alternative<RowSparse>(weight.grad()) == sparse);
  check_equal("dweight", gradient(weight), c["dweight"]);
}

}  // namespace

TEST_CASE("the options of embedding as in PyTorch", "[pytorch][embedding]") {
  for_each_case("embedding_options", [](const Json& c) {
    for (bool sparse : {true, false}) {
      EmbeddingOptions options;
      set(options, c);
      options.sparse = sparse;
      const Embedding layer = Embedding::from_pretrained(array(c["before"]), false, options);
      const Tensor y = layer(array<Indices>(c["ids"]));
      check_table(c, layer.weight(), y, sparse);
    }
  });
}

TEST_CASE("embedding_bag as in PyTorch", "[pytorch][embedding]") {
  for_each_case("embedding_bag", [](const Json& c) {
    for (bool sparse : {true, false}) {
      EmbeddingBagOptions options;
      set(options, c);
      options.sparse = sparse;
      options.mode = c["mode"] == "sum"    ? BagMode::kSum
                     : c["mode"] == "mean" ? BagMode::kMean
                                           : BagMode::kMax;
      options.include_last_offset = c["include_last_offset"];
      const EmbeddingBag layer = EmbeddingBag::from_pretrained(array(c["before"]), false, options);
      const Tensor w = c.contains("weights") ? Tensor(array(c["weights"]), true) : Tensor();
      const Indices ids = array<Indices>(c["ids"]);
      const Tensor y =
          c.contains("offsets") ? layer(ids, array<Indices>(c["offsets"]), w) : layer(ids, w);
      check_table(c, layer.weight(), y, sparse);
      if (w.defined()) check_equal("dweights", gradient(w), c["dweights"]);
    }
  });
}

TEST_CASE("linear as in PyTorch", "[pytorch]") {
  for_each_case("linear", [](const Json& c) {
    Generator g(1);
    Linear layer(4, 3, g, c["bias"]);
    std::map<std::string, Array> values{{"weight", array(c["weight"])}};
    if (c["bias"]) values.emplace("bias", array(c["bias_value"]));
    layer.load_state_dict(values);
    const Tensor x(array(c["x"]), true), y = layer(x);
    check_equal("y", y.value(), c["y"]);
    backward(sum(y * Tensor(array(c["dy"]))));
    check_equal("dx", gradient(x), c["dx"]);
    for (const auto& [name, p] : layer.state_dict())
      check_equal(name.c_str(), gradient(p), c["d" + name]);
  });
}

TEST_CASE("lstm as in PyTorch", "[pytorch]") {
  for_each_case("lstm", [](const Json& c) {
    for (bool fused : {true, false}) {
      Generator g(1);
      LstmOptions options;
      options.fused = fused;
      LSTM layer(3, 2, g, options);
      std::map<std::string, Array> values;
      for (const auto& [name, p] : layer.state_dict()) values.emplace(name, array(c[name]));
      layer.load_state_dict(values);
      const Tensor x(array(c["x"]), true);
      Lengths lengths = c["lengths"];
      if (lengths.empty()) lengths = {5, 5, 5};
      const RecurrentOutput<Sequences> out = layer(Sequences{x, lengths});
      const Tensor c_n = reshape(out.c_n, {3, 2});
      check_equal("output", out.output.values.value(), c["output"]);
      check_equal("h_n", out.last.value(), c["h_n"]);
      check_equal("c_n", c_n.value(), c["c_n"]);
      backward(sum(out.output.values * Tensor(array(c["doutput"]))) +
               sum(out.last * Tensor(array(c["dh_n"]))) + sum(c_n * Tensor(array(c["dc_n"]))));
      check_equal("dx", gradient(x), c["dx"]);
      for (const auto& [name, p] : layer.state_dict())
        check_equal(name.c_str(), gradient(p), c["d" + name]);
    }
  });
}

namespace {

void load(Module& layer, const Json& c) {
  std::map<std::string, Array> values;
  for (const auto& [name, p] : layer.state_dict()) values.emplace(name, array(c[name]));
  layer.load_state_dict(values);
}

// A leaf, or nothing where PyTorch was given nothing.
Tensor leaf(const Json& c, const char* name) {
  return c.contains(name) ? Tensor(array(c[name]), true) : Tensor();
}

void check_gradients_of(const Json& c, const Module& layer,
                        const std::map<std::string, Tensor>& inputs) {
  for (const auto& [name, t] : inputs) {
    if (t.defined()) check_equal(name.c_str(), gradient(t), c["d" + name]);
  }
  for (const auto& [name, p] : layer.state_dict())
    check_equal(name.c_str(), gradient(p), c["d" + name]);
}

template <class Layer, class Options>
void check_recurrent(const Json& c, Options options) {
  options.num_layers = c["num_layers"];
  options.bidirectional = c["bidirectional"];
  options.batch_first = c["batch_first"];
  options.bias = c["bias"];
  Generator g(1);
  Layer layer(3, 2, g, options);
  load(layer, c);
  const Tensor x = leaf(c, "x"), h_0 = leaf(c, "h_0"), c_0 = leaf(c, "c_0");
  const auto run = [&](const auto& in) {
    if constexpr (std::is_same_v<Layer, LSTM>) {
      return layer(in, h_0, c_0);
    } else {
      return layer(in, h_0);
    }
  };
  Tensor loss(full({}, 0));
  const auto check_output = [&](const char* name, const Tensor& y) {
    check_equal(name, y.value(), c[name]);
    loss = loss + sum(y * Tensor(array(c[std::string("d") + name])));
  };
  const auto check_states = [&](const auto& out) {
    check_output("h_n", out.h_n);
    if (std::is_same_v<Layer, LSTM>) check_output("c_n", out.c_n);
  };
  const Lengths lengths = c["lengths"];
  if (lengths.empty()) {
    const RecurrentOutput<Tensor> out = run(x);
    check_output("output", out.output);
    check_states(out);
  } else {
    const RecurrentOutput<Sequences> out = run(Sequences{x, lengths});
    CHECK(out.output.lengths == lengths);
    check_output("output", out.output.values);
    check_states(out);
  }
  backward(loss);
  check_gradients_of(c, layer, {{"x", x}, {"h_0", h_0}, {"c_0", c_0}});
}

}  // namespace

TEST_CASE("layers and options of lstm, gru and rnn as in PyTorch", "[pytorch][recurrent]") {
  for_each_case("recurrent", [](const Json& c) {
    if (c["name"] == "LSTM") {
      for (bool fused : {true, false}) {
        LstmOptions options;
        options.proj_size = c.value("proj_size", 0);
        options.fused = fused;
        check_recurrent<LSTM>(c, options);
      }
    } else if (c["name"] == "GRU") {
      check_recurrent<GRU>(c, RecurrentOptions());
    } else {
      RnnOptions options;
      if (c.contains("nonlinearity")) options.nonlinearity = Nonlinearity::kRelu;
      check_recurrent<RNN>(c, options);
    }
  });
}

TEST_CASE("the cells of lstm, gru and rnn as in PyTorch", "[pytorch][recurrent]") {
  for_each_case("recurrent_cell", [](const Json& c) {
    Generator g(1);
    const Tensor x = leaf(c, "x"), h = leaf(c, "h"), cell = leaf(c, "c");
    const auto check_cell = [&](Module& layer, const LstmState& after) {
      check_equal("h", after.h.value(), c["h_after"]);
      Tensor loss = sum(after.h * Tensor(array(c["dh_after"])));
      if (cell.defined()) {
        check_equal("c", after.c.value(), c["c_after"]);
        loss = loss + sum(after.c * Tensor(array(c["dc_after"])));
      }
      backward(loss);
      check_gradients_of(c, layer, {{"x", x}, {"h", h}, {"c", cell}});
    };
    if (c["name"] == "LSTM") {
      LSTMCell layer(3, 2, g, c["bias"]);
      load(layer, c);
      check_cell(layer, layer(x, {h, cell}));
    } else if (c["name"] == "GRU") {
      GRUCell layer(3, 2, g, c["bias"]);
      load(layer, c);
      check_cell(layer, {layer(x, h), {}});
    } else {
      RNNCell layer(3, 2, g, c["bias"]);
      load(layer, c);
      check_cell(layer, {layer(x, h), {}});
    }
  });
}

TEST_CASE("cross-entropy and nll as in PyTorch", "[pytorch]") {
  const auto options_of = [](const Json& c) {
    CrossEntropyOptions options;
    if (c.contains("weight")) options.weight = array(c["weight"]);
    options.ignore_index = c["ignore_index"];
    options.label_smoothing = c.value("label_smoothing", 0.);
    options.reduction = reduction(c);
    return options;
  };
  for_each_case("cross_entropy", [&](const Json& c) {
    const Tensor x(array(c["x"]), true);
    check_loss(c, x, CrossEntropyLoss(options_of(c))(x, array<Indices>(c["targets"])));
  });
  for_each_case("nll", [&](const Json& c) {
    const Tensor x(array(c["x"]), true);
    check_loss(c, x, NLLLoss(options_of(c))(x, array<Indices>(c["targets"])));
  });
}

TEST_CASE("binary cross-entropy, squared and absolute error as in PyTorch", "[pytorch]") {
  for_each_case("bce", [](const Json& c) {
    const Tensor x(array(c["x"]), true);
    const Array pos_weight = c.contains("pos_weight") ? array(c["pos_weight"]) : full({}, 1);
    check_loss(c, x, BCEWithLogitsLoss(reduction(c), pos_weight)(x, array(c["targets"])));
  });
  for_each_case("mse", [](const Json& c) {
    const Tensor x(array(c["x"]), true);
    check_loss(c, x, MSELoss(reduction(c))(x, Tensor(array(c["targets"]))));
  });
  for_each_case("l1", [](const Json& c) {
    const Tensor x(array(c["x"]), true);
    check_loss(c, x, L1Loss(reduction(c))(x, Tensor(array(c["targets"]))));
  });
}

TEST_CASE("ten steps of each optimizer as in PyTorch", "[pytorch]") {
  for_each_case("optimizer", [](const Json& c) {
    const Json& o = c["options"];
    // What PyTorch did with a dense gradient is kDensify and kExact, whatever form the gradient has
    // here; what it did with a sparse one, as in SparseAdam, is kLazy.
    for (SparsePolicy policy :
         {SparsePolicy::kLazy, SparsePolicy::kExact, SparsePolicy::kDensify}) {
      const bool lazy = policy == SparsePolicy::kLazy, sparse_here = c["sparse"] || !lazy;
      if (c["sparse"] && !lazy) continue;
      Tensor w(array(c["w0"]), true);
      std::unique_ptr<Optimizer> optimizer;
      if (c["name"] == "SGD") {
        SGDOptions options;
        options.momentum = o.value("momentum", 0.);
        options.nesterov = o.value("nesterov", false);
        options.weight_decay = o.value("weight_decay", 0.);
        options.policy = policy;
        optimizer = std::make_unique<SGD>(Tensors{w}, o["lr"].get<double>(), options);
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
        RMSpropOptions options;
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
        options.weight_decay = o.value("weight_decay", c["name"] == "AdamW" ? 0.01 : 0.);
        options.policy = policy;
        if (c["name"] == "Adam") optimizer = std::make_unique<Adam>(Tensors{w}, options);
        if (c["name"] == "AdamW") optimizer = std::make_unique<AdamW>(Tensors{w}, options);
      }
      const Indices rows = array<Indices>(c["rows"]);
      const Tensor values(array(c["values"]));
      for (std::size_t k = 0; k < values.shape(0); ++k) {
        Indices ids = empty<Indices>({3});
        std::copy_n(rows.data() + 3 * k, 3, ids.data());
        const RowSparse g{ids, reshape(slice(values, 0, k, k + 1), {3, 2}), 6};
        w.mutable_grad() = sparse_here ? Gradient(g) : Gradient(dense(g));
        optimizer->step();
      }
      check_equal("w", w.value(), c["w"]);
    }
  });
}

TEST_CASE("clip_grad_norm as in PyTorch", "[pytorch]") {
  for_each_case("clip", [](const Json& c) {
    Tensor a(full({6, 2}, 0), true), b(full({4}, 0), true), frozen(full({2}, 0));
    a.mutable_grad() = RowSparse{array<Indices>(c["rows"]), Tensor(array(c["values"])), 6};
    b.mutable_grad() = Tensor(array(c["gb"]));
    const double total = clip_grad_norm({a, b, frozen}, c["max_norm"]);
    CHECK_THAT(total, WithinRel(c["total"]["data"][0].get<double>(), kTolerance));
    CHECK(std::holds_alternative<RowSparse>(a.grad()));
    check_equal("a", gradient(a), c["clipped_a"]);
    check_equal("b", gradient(b), c["clipped_b"]);
  });
}

TEST_CASE("clip_grad_value as in PyTorch", "[pytorch]") {
  for_each_case("clip_value", [](const Json& c) {
    Tensor a(full({6, 2}, 0), true), b(full({4}, 0), true);
    a.mutable_grad() = RowSparse{array<Indices>(c["rows"]), Tensor(array(c["values"])), 6};
    b.mutable_grad() = Tensor(array(c["gb"]));
    clip_grad_value({a, b}, c["clip_value"]);
    check_equal("a", gradient(a), c["clipped_a"]);
    check_equal("b", gradient(b), c["clipped_b"]);
  });
}

namespace {

// Values and all gradients of a layer of one tensor.
template <class Layer>
void check_layer(const Json& c, Layer& layer) {
  std::map<std::string, Array> values;
  for (const auto& [name, p] : layer.state_dict()) values.emplace(name, array(c[name]));
  layer.load_state_dict(values);
  const Tensor x(array(c["x"]), true), y = layer(x);
  check_loss(c, x, y);
  for (const auto& [name, p] : layer.state_dict())
    check_equal(name.c_str(), gradient(p), c["d" + name]);
}

}  // namespace

TEST_CASE("conv1d as in PyTorch", "[pytorch][conv]") {
  for_each_case("conv1d", [](const Json& c) {
    Conv1dOptions options;
    options.stride = c.value("stride", 1);
    options.padding = c.value("padding", 0);
    options.dilation = c.value("dilation", 1);
    options.bias = c.contains("dbias");
    Generator g(1);
    Conv1d layer(3, 2, 3, g, options);
    check_layer(c, layer);
  });
}

TEST_CASE("layer_norm as in PyTorch", "[pytorch][norm]") {
  for_each_case("layer_norm", [](const Json& c) {
    LayerNormOptions options;
    options.eps = c.value("eps", 1e-5);
    options.elementwise_affine = c.value("elementwise_affine", true);
    LayerNorm layer(c["normalized_shape"].get<Shape>(), options);
    check_layer(c, layer);
  });
}

TEST_CASE("sequential and activations as in PyTorch", "[pytorch][sequential]") {
  for_each_case("sequential", [](const Json& c) {
    Generator g(1);
    Sequential layer;
    layer.append<Linear>(4, 3, g);
    if (c["name"] == "ReLU") layer.append<ReLU>();
    if (c["name"] == "Tanh") layer.append<Tanh>();
    if (c["name"] == "Sigmoid") layer.append<Sigmoid>();
    layer.append<Linear>(3, 2, g);
    check_layer(c, layer);
  });
}

TEST_CASE("pooling over time as in PyTorch", "[pytorch][pooling]") {
  for_each_case("pool", [](const Json& c) {
    const Tensor x(array(c["x"]), true);
    const auto pool = c["name"] == "mean" ? mean_pool : c["name"] == "max" ? max_pool : last;
    check_loss(c, x, pool({x, c["lengths"].get<std::vector<std::size_t>>()}));
  });
}

TEST_CASE("parameter groups as in PyTorch", "[pytorch][schedule]") {
  for_each_case("param_groups", [](const Json& c) {
    const Array w0 = array(c["w0"]), values = array(c["values"]);
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
      optimizer = std::make_unique<SGD>(groups, 0.1, SGDOptions{c["momentum"], false, 0.25});
    if (c["name"] == "Adam") optimizer = std::make_unique<Adam>(groups, with(AdamOptions{}));
    if (c["name"] == "AdamW") optimizer = std::make_unique<AdamW>(groups, with(AdamOptions{}));
    if (c["name"] == "Adagrad")
      optimizer = std::make_unique<Adagrad>(groups, with(AdagradOptions{}));
    if (c["name"] == "RMSprop") {
      RMSpropOptions options = with(RMSpropOptions{});
      options.momentum = c["momentum"];
      optimizer = std::make_unique<RMSprop>(groups, options);
    }
    for (std::size_t step = 0; step < 10; ++step) {
      for (std::size_t k : {0, 1}) ws[k].mutable_grad() = Tensor(part(values, 2 * step + k));
      optimizer->step();
    }
    check_equal("w", stack(ws, 0).value(), c["w"]);
  });
}

TEST_CASE("the learning rates of schedules as in PyTorch", "[pytorch][schedule]") {
  for_each_case("schedule", [](const Json& c) {
    SGD sgd({{{Tensor(full({1}, 0), true)}}, {{Tensor(full({1}, 0), true)}, 0.02}}, 0.5);
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
    const std::vector<double> metrics = c["metrics"]["data"], rates = c["rates"]["data"];
    for (std::size_t epoch = 0; epoch < rates.size() / 2; ++epoch) {
      INFO("epoch " << epoch);
      for (std::size_t group : {0, 1})
        CHECK_THAT(sgd.lr(group), WithinAbs(rates[2 * epoch + group], 1e-12));
      if (epoch < metrics.size()) {
        for (const auto& step : steps) step(metrics[epoch]);
      }
    }
  });
}
