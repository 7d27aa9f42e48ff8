// Layers: names, shapes, initial distributions, modes, derivatives, and what they refuse. Their
// values are compared with PyTorch's in test_pytorch.cpp.
#include <cmath>
#include <limits>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

class Model : public Module {
 public:
  explicit Model(Generator& g) : embedding(7, 3, g), lstm(3, 2, g), dropout(0.5, g), head(2, 4, g) {
    child("embedding", embedding);
    child("lstm", lstm);
    child("dropout", dropout);
    child("head", head);
  }
  Tensor operator()(const Indices& ids) const { return head(dropout(lstm(embedding(ids)).last)); }

  Embedding embedding;
  LSTM lstm;
  Dropout dropout;
  Linear head;
};

Indices some_ids() { return Indices{{0, 6, 2}, {2, 2, 5}}; }

// y = x * weight, elementwise over the last axis.   weight [features], starts as 1
class Scale : public Module {
 public:
  explicit Scale(std::size_t features) : weight_(parameter("weight", full({features}, 1))) {}
  Tensor operator()(const Tensor& x) const { return x * weight_; }

 private:
  Tensor weight_;
};

std::map<std::string, Array> values_of(const Module& module) {
  std::map<std::string, Array> values;
  for (const auto& [name, tensor] : module.state_dict()) values.emplace(name, tensor.value());
  return values;
}

// The smallest and the greatest number, and the mean of the squares.
struct Spread {
  double low, high, mean, square;
};
Spread spread(const Array& a) {
  Spread s{a.data()[0], a.data()[0], 0, 0};
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = double(a.data()[i]);
    s = {std::min(s.low, x), std::max(s.high, x), s.mean + x / double(a.size()),
         s.square + x * x / double(a.size())};
  }
  return s;
}

void check_uniform(const Array& a, double bound) {
  const Spread s = spread(a);
  CHECK(s.low >= -bound);
  CHECK(s.low < -0.98 * bound);
  CHECK(s.high <= bound);
  CHECK(s.high > 0.98 * bound);
  CHECK_THAT(s.mean, WithinAbs(0, 4 * bound / std::sqrt(3 * double(a.size()))));
  CHECK_THAT(s.square, WithinRel(bound * bound / 3, 4 * 0.9 / std::sqrt(double(a.size()))));
}

}  // namespace

TEST_CASE("layer_norm refuses an eps below zero or not finite", "[layers]") {
  for (double bad : {-1., double(std::nan("")), std::numeric_limits<double>::infinity()}) {
    LayerNormOptions options;
    options.eps = bad;
    CHECK(error_of([&] { LayerNorm({2}, options); }) ==
          message("layer_norm: eps must be in [0, inf), got ", bad));
  }
}

TEST_CASE("parameters have PyTorch's names and shapes, in the order they were made", "[layers]") {
  Generator g(1);
  Model model(g);
  std::string names;
  for (const auto& [name, tensor] : model.state_dict()) {
    names += name + message(' ', tensor.shape(), '\n');
    CHECK(tensor.requires_grad());
  }
  CHECK(names ==
        "embedding.weight [7, 3]\n"
        "lstm.weight_ih_l0 [8, 3]\nlstm.weight_hh_l0 [8, 2]\n"
        "lstm.bias_ih_l0 [8]\nlstm.bias_hh_l0 [8]\n"
        "head.weight [4, 2]\nhead.bias [4]\n");
  CHECK(model.parameters().size() == 7);
  CHECK(Linear(2, 4, g, false).parameters().size() == 1);
  // state_dict() hands out the parameters themselves, not copies
  model.state_dict()[0].second.mutable_value()(0, 0) = 42;
  CHECK(model.embedding.weight().value()(0, 0) == 42);
}

TEST_CASE("initial distributions are PyTorch's", "[layers]") {
  Generator g(1);
  const Spread table = spread(Embedding(500, 40, g).weight().value());
  CHECK_THAT(table.mean, WithinAbs(0, 4 / std::sqrt(20000.)));
  CHECK_THAT(table.square, WithinAbs(1, 4 * std::sqrt(2 / 20000.)));
  CHECK(table.high > 3);
  const Linear linear(25, 400, g);
  for (const Tensor& p : linear.parameters()) check_uniform(p.value(), 0.2);
  const LSTM lstm(9, 100, g);
  for (const Tensor& p : lstm.parameters()) check_uniform(p.value(), 0.1);
}

TEST_CASE("ids of any shape", "[layers]") {
  Generator g(1);
  const Embedding embedding(10, 4, g);
  const Array& table = embedding.weight().value();
  CHECK(embedding(Indices(3)).shape() == Shape{4});  // xtensor: one id, no axes
  CHECK(embedding(Indices{2, 7}).shape() == Shape{2, 4});
  CHECK(embedding(full<Indices>({2, 0, 3}, 0)).shape() == Shape{2, 0, 3, 4});
  const Tensor y = embedding(Indices{{{2, 7}}, {{9, 0}}});
  CHECK(y.shape() == Shape{2, 1, 2, 4});
  for (std::size_t d = 0; d < 4; ++d) {
    CHECK(y.value()(0, 0, 1, d) == table(7, d));
    CHECK(y.value()(1, 0, 0, d) == table(9, d));
  }
  CHECK_THROWS_AS(embedding(Indices{10}), std::out_of_range);
  CHECK_THROWS_AS(embedding(Indices{-1}), std::out_of_range);
}

TEST_CASE("the padding row starts as zero and stays zero through training", "[layers]") {
  Generator g(1);
  for (bool sparse : {true, false}) {
    EmbeddingOptions options;
    options.padding_idx = -4;
    options.sparse = sparse;
    Embedding embedding(5, 3, g, options);
    Adam adam(embedding.parameters());
    for (int step = 0; step < 3; ++step) {
      adam.zero_grad();
      backward(sum(embedding(Indices{{1, 2}, {1, 0}})));
      adam.step();
    }
    for (std::size_t d = 0; d < 3; ++d) CHECK(embedding.weight().value()(1, d) == 0);
  }
}

TEST_CASE("train and eval reach the children", "[layers]") {
  Generator g(1);
  Model model(g);
  CHECK(model.training());
  CHECK(model.dropout.training());
  const auto differs = [&] { return model(some_ids()).value() != model(some_ids()).value(); };
  CHECK(differs());
  model.eval();
  CHECK_FALSE(model.dropout.training());
  CHECK_FALSE(differs());
  model.train();
  CHECK(model.dropout.training());
}

TEST_CASE("a name in a module is given once", "[layers]") {
  struct Twice : Module {
    explicit Twice(const std::string& second) {
      parameter("w", full({1}, 0));
      child("c", child_);
      parameter(second, full({1}, 0));
    }
    Scale child_{1};
  };
  CHECK_NOTHROW(Twice("v"));
  CHECK(error_of<std::invalid_argument>([] { Twice("w"); }) == "module: the name 'w' is taken");
  CHECK(error_of<std::invalid_argument>([] { Twice("c"); }) == "module: the name 'c' is taken");
}

TEST_CASE("a state dict loads whole or not at all", "[layers]") {
  Generator g(1);
  Model from(g), to(g);
  REQUIRE(values_of(from) != values_of(to));
  const auto before = values_of(to);
  auto values = values_of(from);
  values.erase("head.bias");
  values["head.weight"] = full({4, 3}, 0);
  values["tail"] = full({}, 0);
  CHECK(error_of([&] { to.load_state_dict(values); }) ==
        "load_state_dict: names and shapes must match the module's; 'head.weight' must be [4, 2], "
        "got [4, 3]; missing 'head.bias' [4]; unexpected 'tail' []");
  CHECK(values_of(to) == before);
  to.load_state_dict(values_of(from));
  CHECK(values_of(to) == values_of(from));
}

TEST_CASE("zero_grad forgets the gradients of all parameters", "[layers]") {
  Generator g(1);
  Model model(g);
  backward(sum(model(some_ids())));
  for (const Tensor& p : model.parameters())
    CHECK_FALSE(std::holds_alternative<std::monostate>(p.grad()));
  model.zero_grad();
  for (const Tensor& p : model.parameters())
    CHECK(std::holds_alternative<std::monostate>(p.grad()));
}

#ifdef GRADWALK_DOUBLE
TEST_CASE("layers agree with finite differences to second order", "[layers]") {
  Generator g(4);
  // with respect to the layer's parameters, and to x where it has one
  const auto check_layer = [](const Module& layer, Tensors leaves, std::function<Tensor()> f) {
    for (const Tensor& p : layer.parameters()) leaves.push_back(p);
    CHECK_NOTHROW(check_gradients(f, leaves));
  };
  const Tensor x(normal({3, 2, 4}, g), true);
  for (bool bias : {true, false}) {
    const Linear linear(4, 3, g, bias);
    check_layer(linear, {x}, [&] { return linear(x); });
  }
  for (bool fused : {true, false}) {
    LstmOptions options;
    options.fused = fused;
    const LSTM lstm(4, 2, g, options);
    check_layer(lstm, {x}, [&] { return lstm(x).output; });
    check_layer(lstm, {x}, [&] { return lstm(x).h_n; });
    check_layer(lstm, {x}, [&] { return lstm(x).c_n; });
  }
  for (bool sparse : {true, false}) {
    EmbeddingOptions options;
    options.sparse = sparse;
    const Embedding embedding(7, 3, g, options);
    check_layer(embedding, {}, [&] { return embedding(some_ids()); });
    check_layer(embedding, {}, [&] { return embedding(some_ids()) * embedding(Indices{4, 6, 6}); });
  }
  Generator same(9);  // the mask must be the same in every call
  Dropout dropout(0.4, same);
  check_layer(dropout, {x}, [&] {
    same = Generator(9);
    return dropout(x);
  });
  Model model(g);
  model.eval();
  check_layer(model, {}, [&] { return model(some_ids()); });
}

TEST_CASE("loss layers agree with finite differences to second order", "[layers]") {
  Generator g(5);
  const Tensor x(normal({4, 3}, g), true), z(normal({4, 3}, g), true);
  const Array targets = uniform({4, 3}, 0, 1, g);
  for (Reduction r : {Reduction::kNone, Reduction::kMean, Reduction::kSum}) {
    CrossEntropyOptions o;
    o.weight = uniform({3}, Real(0.5), 2, g);
    o.ignore_index = 1;
    o.reduction = r;
    const Indices classes{2, 1, 0, 2};
    CHECK_NOTHROW(check_gradients([&] { return NLLLoss(o)(x, classes); }, {x}));
    o.label_smoothing = 0.2;
    CHECK_NOTHROW(check_gradients([&] { return CrossEntropyLoss(o)(x, classes); }, {x}));
    CHECK_NOTHROW(check_gradients([&] { return BCEWithLogitsLoss(r, o.weight)(x, targets); }, {x}));
    CHECK_NOTHROW(check_gradients([&] { return MSELoss(r)(x, z); }, {x, z}));
    CHECK_NOTHROW(check_gradients([&] { return L1Loss(r)(x, z); }, {x, z}));
  }
}
#endif

TEST_CASE("what layers refuse, and their words", "[layers]") {
  Generator g(1);
  const auto embedding = [&](std::int64_t padding_idx) {
    EmbeddingOptions options;
    options.padding_idx = padding_idx;
    Embedding(5, 2, g, options);
  };
  CHECK(error_of([&] { embedding(5); }) == "embedding: padding_idx 5 is outside a table of 5 rows");
  CHECK(error_of([&] { embedding(-6); }) ==
        "embedding: padding_idx -6 is outside a table of 5 rows");
  CHECK(error_of([&] { LSTM(2, 0, g); }) == "lstm: hidden_size must be positive");
  CHECK(error_of([&] { Dropout(1, g); }) == "dropout: the probability must be in [0, 1), got 1");
  CHECK(error_of([&] { Dropout(-0.5, g); }) ==
        "dropout: the probability must be in [0, 1), got -0.5");
  const Tensor two(full({2}, 0)), three(full({1, 2}, 0));
  CHECK(error_of([&] { MSELoss()(two, three); }) ==
        "mse_loss: shapes must be equal, got [2] and [1, 2]");
  CHECK(error_of([&] { L1Loss()(two, three); }) ==
        "l1_loss: shapes must be equal, got [2] and [1, 2]");
  CHECK_THROWS_AS(Linear(3, 2, g)(two), std::invalid_argument);
  CHECK_THROWS_AS(LSTM(3, 2, g)(two), std::invalid_argument);
}

// ---- docs/10-your-own.md ----
namespace {

Tensor swish2(const Tensor& x) {
  Array value = empty(x.shape());
  for (std::size_t i = 0; i < value.size(); ++i) {
    const Real v = x.value().data()[i];
    value.data()[i] = v * v / (1 + std::exp(-v));
  }
  return record("swish2", {x}, std::move(value),
                [x](const Tensor& y, const Tensor& dy) -> Gradients {
                  const Tensor s = sigmoid(x);
                  return {dy * (2 * x * s + y * (1 - s))};  // dL/dx = dy * (2 x s + y (1 - s))
                });
}

}  // namespace

TEST_CASE("the op and the layer of the documentation", "[layers]") {
  Generator generator(1);
  const Tensor x(normal({3, 4}, generator), true);
  const Scale scale(4);
  CHECK((scale(x).value() == x.value()));
  CHECK(scale.state_dict()[0].first == "weight");
  const Array squares = (x * x * sigmoid(x)).value(), y = swish2(x).value();
  for (std::size_t i = 0; i < y.size(); ++i)
    CHECK_THAT(double(y.data()[i]), WithinRel(double(squares.data()[i]), 1e-5));
#ifdef GRADWALK_DOUBLE
  check_gradients([](const Tensors& xs) { return swish2(xs[0]); }, {normal({3, 4}, generator)});
  check_gradients([&] { return scale(x); }, scale.parameters());
#endif
}

// ---- the whole ----
TEST_CASE("a small model learns, and reads its own file", "[layers]") {
  Generator g(3);
  Model model(g);
  model.eval();  // without dropout: it is to fit four sequences exactly
  AdamOptions options;
  options.lr = 0.05;
  Adam adam(model.parameters(), options);
  const Indices ids{{0, 1, 0, 2}, {3, 3, 4, 1}}, targets{0, 1, 2, 3};  // [T, N]
  for (int step = 0; step < 300; ++step) {
    adam.zero_grad();
    backward(CrossEntropyLoss()(model(ids), targets));
    adam.step();
  }
  CHECK(CrossEntropyLoss()(model(ids), targets).item() < Real(0.05));
  Model other(g);
  other.eval();
  other.load_state_dict(values_of(model));
  CHECK((other(ids).value() == model(ids).value()));
}

TEST_CASE("a layer without inputs has a finite bias", "[layers]") {
  Generator g(1);
  const Linear linear(0, 3, g);
  CHECK((linear.parameters()[1].value() == Array{0, 0, 0}));
  CHECK((linear(Tensor(empty({2, 0}))).value() == full({2, 3}, 0)));
  CHECK((Conv1d(0, 2, 3, g).parameters()[1].value() == Array{0, 0}));
}

TEST_CASE("ids are taken from whatever holds whole numbers", "[layers]") {
  Generator g(1);
  const Embedding embedding(10, 2, g);
  const Indices flat{1, 2, 3}, square{{1, 2}, {3, 4}};
  const auto same = [&](const Tensor& y, const Indices& ids) {
    const Tensor expected = embedding(ids);
    CHECK(y.shape() == expected.shape());
    CHECK((y.value() == expected.value()));
  };
  same(embedding({1, 2, 3}), flat);
  same(embedding(std::vector<std::int64_t>{1, 2, 3}), flat);
  same(embedding(std::vector<int>{1, 2, 3}), flat);
  same(embedding(std::vector<std::size_t>{1, 2, 3}), flat);
  same(embedding(std::vector<std::vector<std::int64_t>>{{1, 2}, {3, 4}}), square);
  same(embedding(std::vector<std::vector<int>>{{1, 2}, {3, 4}}), square);
  same(embedding(xt::xarray<std::int32_t>{{1, 2}, {3, 4}}), square);
  same(embedding(xt::xarray<int>{{1, 2}, {3, 4}} + 1), Indices{{2, 3}, {4, 5}});
  CHECK((Indices({2, 3}) == Indices{2, 3}));  // two ids, not a shape
  CHECK(Indices({2, 3}).dimension() == 1);
  CHECK(Indices{5}.dimension() == 1);
  CHECK(Indices(5).dimension() == 0);
  CHECK(Indices{{{1, 2}}, {{3, 4}}}.shape() == Shape{2, 1, 2});
  CHECK(error_of<std::invalid_argument>([] {
          Indices(std::vector<std::vector<int>>{{1, 2}, {3}});
        }) == "indices: rows differ in length");
}

namespace {

template <class Ids>
using GatherOf = decltype(gather_rows(std::declval<Tensor>(), std::declval<Ids>()));
template <class Ids>
using LossOf = decltype(softmax_cross_entropy(std::declval<Tensor>(), std::declval<Ids>()));
template <class Ids>
using LookupOf = decltype(std::declval<const Embedding&>()(std::declval<Ids>()));

template <template <class> class F, class Ids, class = void>
constexpr bool compiles = false;
template <template <class> class F, class Ids>
constexpr bool compiles<F, Ids, std::void_t<F<Ids>>> = true;

template <class Ids>
constexpr bool are_ids = compiles<GatherOf, Ids>&& compiles<LossOf, Ids>&& compiles<LookupOf, Ids>;
template <class Ids>
constexpr bool are_not_ids =
    !compiles<GatherOf, Ids> && !compiles<LossOf, Ids> && !compiles<LookupOf, Ids>;

// Real numbers would be truncated without a word.
static_assert(are_ids<Indices> && are_ids<std::vector<int>> && are_ids<xt::xarray<int>>);
static_assert(are_not_ids<Array> && are_not_ids<Tensor>);
static_assert(are_not_ids<xt::xarray<float>> && are_not_ids<std::vector<double>>);
static_assert(are_not_ids<std::vector<std::vector<float>>>);
static_assert(are_not_ids<decltype(std::declval<Array&>() + 1)>);

}  // namespace

TEST_CASE("parameters of several modules, one after the other", "[layers]") {
  Generator g(1);
  Embedding embedding(4, 2, g);
  Linear linear(2, 3, g);
  const std::vector<Tensor> all = parameters({&embedding, &linear});
  REQUIRE(all.size() == 3);
  CHECK(all[0].node() == embedding.parameters()[0].node());
  CHECK(all[1].node() == linear.parameters()[0].node());
  CHECK(all[2].node() == linear.parameters()[1].node());
  CHECK(parameters({}).empty());
}
