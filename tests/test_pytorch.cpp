// Layers and losses against numbers that PyTorch computed.
#include <cmath>
#include <set>

#include "layers/layers.hpp"
#include "tests/golden.hpp"

using namespace golden;

namespace {

// Loads the parameters under the names that they have in PyTorch, which must be ours, in its order.
// Where GRADWALK_STATE_DICTS names a folder, writes what was loaded there, for PyTorch to load.
void load(Module& layer, const Case& c) {
  Json state = Json::array();
  for (const auto& [name, p] : layer.state_dict()) state.push_back({name, p.shape()});
  CHECK(state == c["state"]);
  std::map<std::string, Array> values;
  for (const Json& entry : c["state"]) values.emplace(entry[0], c.array(entry[0]));
  layer.load_state_dict(values);
  if (const char* folder = std::getenv("GRADWALK_STATE_DICTS"))
    save_safetensors(folder + ('/' + std::to_string(c.number())), layer.state_dict());
}

void check_gradients_of(const Case& c, const Module& layer,
                        const std::map<std::string, Tensor>& inputs) {
  for (const auto& [name, t] : inputs) {
    if (t.defined()) check_equal(c, "d" + name, gradient(t));
  }
  for (const auto& [name, p] : layer.state_dict()) check_equal(c, "d" + name, gradient(p));
}

// Values and all gradients of a layer of one tensor.
template <class Layer>
void check_layer(const Case& c, Layer& layer) {
  load(layer, c);
  const Tensor x = c.leaf("x"), y = layer(x);
  check_equal(c, "y", y.value());
  backward(sum(y * c.constant("dy")));
  check_gradients_of(c, layer, {{"x", x}});
}

void set(EmbeddingOptions& options, const Case& c, bool sparse) {
  if (c.options().contains("padding_idx")) options.padding_idx = c["padding_idx"];
  if (c.options().contains("max_norm")) options.max_norm = c["max_norm"];
  options.norm_type = c.value("norm_type", 2.);
  options.scale_grad_by_freq = c.value("scale_grad_by_freq", false);
  options.sparse = sparse;
}

void check_table(const Case& c, const EmbeddingTable& layer, const Tensor& y, bool sparse,
                 const Tensor& weights = {}) {
  check_equal(c, "weight_after", layer.weight().value());
  check_equal(c, "y", y.value());
  backward(sum(y * c.constant("dy")));
  CHECK(std::holds_alternative<RowSparse>(layer.weight().grad()) == sparse);
  check_gradients_of(c, layer, {{"weights", weights}});
}

}  // namespace

TEST_CASE("embedding as in PyTorch", "[pytorch][embedding]") {
  for_each_case("embedding", [](const Case& c) {
    for (bool sparse : {true, false}) {
      EmbeddingOptions options;
      set(options, c, sparse);
      Generator g(1);
      Embedding layer(6, 3, g, options);
      load(layer, c);
      check_table(c, layer, layer(c.indices("ids")), sparse);
    }
  });
}

TEST_CASE("embedding_bag as in PyTorch", "[pytorch][embedding]") {
  for_each_case("embedding_bag", [](const Case& c) {
    for (bool sparse : {true, false}) {
      EmbeddingBagOptions options;
      set(options, c, sparse);
      options.mode = c["mode"] == "sum"    ? BagMode::kSum
                     : c["mode"] == "mean" ? BagMode::kMean
                                           : BagMode::kMax;
      options.include_last_offset = c["include_last_offset"];
      Generator g(1);
      EmbeddingBag layer(6, 3, g, options);
      load(layer, c);
      const Tensor weights = c.leaf("weights");
      const Indices ids = c.indices("ids");
      const Tensor y =
          c.has("offsets") ? layer(ids, c.indices("offsets"), weights) : layer(ids, weights);
      check_table(c, layer, y, sparse, weights);
    }
  });
}

TEST_CASE("linear as in PyTorch", "[pytorch]") {
  for_each_case("linear", [](const Case& c) {
    Generator g(1);
    Linear layer(4, 3, g, c["bias"]);
    check_layer(c, layer);
  });
}

TEST_CASE("conv1d as in PyTorch", "[pytorch][conv]") {
  for_each_case("conv1d", [](const Case& c) {
    Conv1dOptions options;
    options.stride = c.value("stride", 1);
    options.padding = c.value("padding", 0);
    options.dilation = c.value("dilation", 1);
    options.bias = c.value("bias", true);
    Generator g(1);
    Conv1d layer(3, 2, c["kernel_size"], g, options);
    check_layer(c, layer);
  });
}

TEST_CASE("layer_norm as in PyTorch", "[pytorch][norm]") {
  for_each_case("layer_norm", [](const Case& c) {
    LayerNormOptions options;
    options.eps = c.value("eps", 1e-5);
    options.elementwise_affine = c.value("elementwise_affine", true);
    const auto sizes = c["normalized_shape"].get<std::vector<std::size_t>>();
    LayerNorm layer(Shape(sizes.begin(), sizes.end()), options);
    check_layer(c, layer);
  });
}

TEST_CASE("sequential and activations as in PyTorch", "[pytorch][sequential]") {
  for_each_case("sequential", [](const Case& c) {
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
  for_each_case("pool", [](const Case& c) {
    const Tensor x = c.leaf("x");
    const auto pool = c["name"] == "mean" ? mean_pool : c["name"] == "max" ? max_pool : last;
    const Tensor y = pool({x, c["lengths"].get<std::vector<std::size_t>>()});
    check_equal(c, "y", y.value());
    backward(sum(y * c.constant("dy")));
    check_equal(c, "dx", gradient(x));
  });
}

TEST_CASE("dropout as in PyTorch", "[pytorch]") {
  for_each_case("dropout", [](const Case& c) {
    const double p = c["p"], n = 10000;
    Generator g(1);
    Dropout layer(p, g);
    const auto values_of = [&] {  // what becomes of ones
      const Array y = layer(Tensor(full({std::size_t(n)}, 1))).value();
      const double zeros = double(std::count(y.begin(), y.end(), Real(0)));
      if (layer.training())
        CHECK_THAT(zeros / n, WithinAbs(p, 5 * std::sqrt(p * (1 - p) / n)));  // standard errors
      const std::set<Real> different(y.begin(), y.end());
      Array values = empty({different.size()});
      std::copy(different.begin(), different.end(), values.begin());
      return values;
    };
    check_equal(c, "values", values_of());
    layer.eval();
    check_equal(c, "in_evaluation", values_of());
  });
}

namespace {

template <class Layer, class Options>
void check_recurrent(const Case& c, Options options) {
  options.num_layers = c["num_layers"];
  options.bidirectional = c["bidirectional"];
  options.batch_first = c["batch_first"];
  options.bias = c["bias"];
  Generator g(1);
  Layer layer(3, 2, g, options);
  load(layer, c);
  const Tensor x = c.leaf("x"), h_0 = c.leaf("h_0"), c_0 = c.leaf("c_0");
  const auto run = [&](const auto& in) {
    if constexpr (std::is_same_v<Layer, LSTM>) {
      return layer(in, h_0, c_0);
    } else {
      return layer(in, h_0);
    }
  };
  Tensor loss(full({}, 0));
  const auto check_output = [&](const std::string& name, const Tensor& y) {
    check_equal(c, name, y.value());
    loss = loss + sum(y * c.constant("d" + name));
  };
  const auto check_states = [&](const auto& out) {
    check_output("h_n", out.h_n);
    if (std::is_same_v<Layer, LSTM>) check_output("c_n", out.c_n);
    const std::size_t L = out.h_n.shape(0), directions = options.bidirectional ? 2 : 1;
    const Tensors h = split(slice(out.h_n, 0, L - directions, L), 1, 0);
    CHECK((out.last.value() == reshape(concat(h, 2), out.last.shape()).value()));
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

Nonlinearity nonlinearity(const Case& c) {
  return c.options().contains("nonlinearity") ? Nonlinearity::kRelu : Nonlinearity::kTanh;
}

}  // namespace

TEST_CASE("layers and options of lstm, gru and rnn as in PyTorch", "[pytorch][recurrent]") {
  for_each_case("recurrent", [](const Case& c) {
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
      options.nonlinearity = nonlinearity(c);
      check_recurrent<RNN>(c, options);
    }
  });
}

TEST_CASE("the cells of lstm, gru and rnn as in PyTorch", "[pytorch][recurrent]") {
  for_each_case("recurrent_cell", [](const Case& c) {
    Generator g(1);
    const Tensor x = c.leaf("x"), h = c.leaf("h"), cell = c.leaf("c");
    const auto check_cell = [&](Module& layer, const LstmState& after) {
      check_equal(c, "h_after", after.h.value());
      Tensor loss = sum(after.h * c.constant("dh_after"));
      if (after.c.defined()) {
        check_equal(c, "c_after", after.c.value());
        loss = loss + sum(after.c * c.constant("dc_after"));
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
      RNNCell layer(3, 2, g, c["bias"], nonlinearity(c));
      load(layer, c);
      check_cell(layer, {layer(x, h), {}});
    }
  });
}

// ---- how layers start ----
namespace {

template <class Layer, class... Args>
std::function<std::unique_ptr<Module>(Generator&)> make(Args... args) {
  return [=](Generator& g) { return std::make_unique<Layer>(args..., g); };
}

template <class Layer, class Options>
std::function<std::unique_ptr<Module>(Generator&)> make_with(const Options& options, std::size_t in,
                                                             std::size_t out) {
  return [=](Generator& g) { return std::make_unique<Layer>(in, out, g, options); };
}

}  // namespace

TEST_CASE("layers start as in PyTorch", "[pytorch][init]") {
  const RecurrentOptions deep{2, true};
  EmbeddingOptions third;
  third.padding_idx = 3;
  EmbeddingBagOptions last;
  last.padding_idx = -1;
  const std::map<std::string, std::function<std::unique_ptr<Module>(Generator&)>> layers = {
      {"nn.Embedding(500, 40, padding_idx=3)", make_with<Embedding>(third, 500, 40)},
      {"nn.EmbeddingBag(500, 40, padding_idx=-1)", make_with<EmbeddingBag>(last, 500, 40)},
      {"nn.Linear(300, 200)", make<Linear>(300, 200)},
      {"nn.Conv1d(30, 200, 5)", make<Conv1d>(30, 200, 5)},
      {"nn.LayerNorm([300])", [](Generator&) { return std::make_unique<LayerNorm>(Shape{300}); }},
      {"nn.LSTM(40, 100, num_layers=2, bidirectional=True)",
       make_with<LSTM>(LstmOptions{deep}, 40, 100)},
      {"nn.LSTM(40, 100, num_layers=2, bidirectional=True, proj_size=30)",
       make_with<LSTM>(LstmOptions{deep, 30}, 40, 100)},
      {"nn.GRU(40, 100, num_layers=2, bidirectional=True)", make_with<GRU>(deep, 40, 100)},
      {"nn.RNN(40, 100, num_layers=2, bidirectional=True)",
       make_with<RNN>(RnnOptions{deep}, 40, 100)},
      {"nn.LSTMCell(40, 100)", make<LSTMCell>(40, 100)},
      {"nn.GRUCell(40, 100)", make<GRUCell>(40, 100)},
      {"nn.RNNCell(40, 100)", make<RNNCell>(40, 100)}};
  for_each_case("init", [&](const Case& c) {
    Generator g(1);
    const std::unique_ptr<Module> layer = layers.at(c["layer"])(g);
    Json state = Json::array();
    for (const auto& [name, p] : layer->state_dict()) {
      INFO(name);
      state.push_back({name, p.shape()});
      const Array& w = p.value();
      double n = double(w.size()), sum = 0, squares = 0, greatest = 0;
      for (Real x : w) {
        sum += double(x);
        greatest = std::max(greatest, std::abs(double(x)));
      }
      const double mean = sum / n;
      for (Real x : w) squares += (double(x) - mean) * (double(x) - mean);
      const double std = std::sqrt(squares / (n - 1));
      const double its_mean = double(c.array(name).data()[0]);
      const double its_std = double(c.array(name).data()[1]);
      // Two samples: the standard errors of the differences are std sqrt(2 / n) of the means and
      // less than std / sqrt(n), that of normal numbers, of the standard deviations. Five of them
      // are passed by chance once in a million.
      CHECK_THAT(mean, WithinAbs(its_mean, 5 * its_std * std::sqrt(2 / n)));
      CHECK_THAT(std, WithinAbs(its_std, 5 * its_std / std::sqrt(n)));
      if (!c["bound"].is_null()) {
        CHECK(greatest <= double(c["bound"].get<Real>()));
        CHECK(greatest > 0.9 * c["bound"].get<double>());
      }
      if (!c["zero_row"].is_null()) {
        const std::size_t row = c["zero_row"], D = p.shape(1);
        CHECK(std::all_of(w.data() + row * D, w.data() + (row + 1) * D,
                          [](Real x) { return x == 0; }));
      }
    }
    CHECK(state == c["state"]);
  });
}

// ---- losses ----
namespace {

Reduction reduction(const Case& c) {
  return c["reduction"] == "none"   ? Reduction::kNone
         : c["reduction"] == "mean" ? Reduction::kMean
                                    : Reduction::kSum;
}

void check_loss(const Case& c, const Tensor& x, const Tensor& y) {
  check_equal(c, "y", y.value());
  backward(sum(y * c.constant("dy")));
  check_equal(c, "dx", gradient(x));
}

}  // namespace

TEST_CASE("cross-entropy and nll as in PyTorch", "[pytorch][loss]") {
  const auto options_of = [](const Case& c) {
    CrossEntropyOptions options;
    if (c.has("weight")) options.weight = c.array("weight");
    options.ignore_index = c["ignore_index"];
    options.label_smoothing = c.value("label_smoothing", 0.);
    options.reduction = reduction(c);
    return options;
  };
  for_each_case("cross_entropy", [&](const Case& c) {
    const Tensor x = c.leaf("x");
    check_loss(c, x, CrossEntropyLoss(options_of(c))(x, c.indices("targets")));
  });
  for_each_case("nll", [&](const Case& c) {
    const Tensor x = c.leaf("x");
    check_loss(c, x, NLLLoss(options_of(c))(x, c.indices("targets")));
  });
}

TEST_CASE("binary cross-entropy, squared and absolute error as in PyTorch", "[pytorch][loss]") {
  for_each_case("bce", [](const Case& c) {
    const Tensor x = c.leaf("x");
    const Array pos_weight = c.has("pos_weight") ? c.array("pos_weight") : full({}, 1);
    check_loss(c, x, BCEWithLogitsLoss(reduction(c), pos_weight)(x, c.array("targets")));
  });
  const auto check_distance = [](const auto& loss, const Case& c) {
    const Tensor x = c.leaf("x"), targets = c.leaf("targets");
    check_loss(c, x, loss(x, targets));
    check_equal(c, "dtargets", gradient(targets));
  };
  for_each_case("mse", [&](const Case& c) { check_distance(MSELoss(reduction(c)), c); });
  for_each_case("l1", [&](const Case& c) { check_distance(L1Loss(reduction(c)), c); });
}
