// check_layer: our own layers pass, and each check catches the layer that is broken for it.
#include "core/core.hpp"
#include "core/machine/threads.hpp"
#include "layers/check_layer.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

Generator numbers(11);

Tensor x_of(const Shape& shape) { return Tensor(uniform(shape, Real(-1.5), Real(1.5), numbers)); }

// The checks that failed, a line each, and what they said.
std::string failures(const LayerReport& report) {
  std::string all;
  for (const LayerReport::Row& row : report.rows) {
    if (row.verdict == LayerReport::Verdict::kFailed) all += row.check + ": " + row.why + '\n';
  }
  return all;
}

std::string names_of_failed(const LayerReport& report) {
  std::string names;
  for (const LayerReport::Row& row : report.rows) {
    if (row.verdict == LayerReport::Verdict::kFailed)
      names += (names.empty() ? "" : ", ") + row.check;
  }
  return names;
}

template <class Make, class Call>
void passes(const char* what, std::size_t skipped, const Make& make, const Call& call,
            const std::vector<LayerSample>& samples, const LayerTags& tags = {}) {
  INFO(what);
  const LayerReport report = check_layer(make, call, samples, tags);
  CHECK(failures(report) == "");
  CHECK(report.rows.size() == 25);
  const std::size_t in_double = sizeof(Real) == 8 ? 0 : 1;  // "rounding" needs double
  CHECK(report.count(LayerReport::Verdict::kSkipped) == skipped + in_double);
  CHECK_NOTHROW(report.require());
}

LayerTags batched(const char* name, std::size_t axis = 0) {
  LayerTags tags;
  tags.name = name;
  tags.batch_axis = axis;
  return tags;
}

// y = x * weight + bias over x [N, 3], with the fault that is asked for.
struct Faulty : Module {
  std::string fault;
  Generator& generator;
  Tensor weight, bias;
  Real hidden;
  std::unique_ptr<Dropout> inner;
  mutable int calls = 0;
  mutable std::vector<std::shared_ptr<Tensor>> selves;
  ~Faulty() override {  // what it leaked while it lived
    for (const auto& self : selves) *self = Tensor();
  }

  Faulty(std::string f, Generator& g)
      : fault(std::move(f)),
        generator(g),
        weight(parameter("weight", start(g))),
        bias(parameter("bias", uniform({3}, Real(0.5), Real(1), g))),
        hidden(Real(g.uniform())) {
    if (fault == "unused") parameter("unused", full({1}, 1));
    if (fault == "counter") counter = parameter("counter", full({1}, 0));
    inner = std::make_unique<Dropout>(0.5, g);  // never registered by child()
  }
  Array start(Generator& g) const {
    static Generator other(5);
    if (fault == "seed") return uniform({3}, Real(0.5), Real(1), other);
    if (fault == "nan") return full({3}, Real(NAN));
    if (fault == "digits") return full({3}, Real(1) / 3);
    Array a = uniform({3}, Real(0.5), Real(1), g);
    if (fault == "saturated") {
      for (Real& v : a) v = g.next() % 2 == 0 ? v : -v;
    }
    return a;
  }
  Tensor counter;

  Tensor operator()(const Tensor& x) const {
    ++calls;
    const std::size_t n = x.shape(0);
    check<std::invalid_argument>(fault == "wider" || (x.dim() == 2 && x.shape(1) == 3),
                                 "faulty: needs [N, 3], got ", x.shape());
    const Tensor y = (fault == "wider" ? slice(x, 1, 0, 3) : x) * weight + bias;
    const auto with_rule = [&](const Rule& rule) {
      return record("faulty", {y}, Array(y.value()), rule);
    };
    if (fault == "squeeze" && n == 1) return reshape(y, {3});
    if (fault == "first")
      return with_rule(
          [](const Tensor&, const Tensor& dy) -> Gradients { return {dy * Real(1.1)}; });
    if (fault == "second") {
      const Tensor z = y;
      return record("faulty", {z}, Array((z * z).value()),
                    [z](const Tensor&, const Tensor& dy) -> Gradients {
                      return {dy * Tensor(z.value()) * Real(2)};
                    });
    }
    if (fault == "again") {  // right only the first time
      const auto turns = std::make_shared<int>(0);
      return with_rule([turns](const Tensor&, const Tensor& dy) -> Gradients {
        return {(*turns)++ == 0 ? dy : dy * Real(2)};
      });
    }
    if (fault == "counter") {
      Tensor c = counter;
      c.mutable_value() += Real(1);
      return y + c * Real(0);
    }
    if (fault == "no graph" && !grad_enabled()) return y * Real(2);
    if (fault == "leak") {
      const auto self = std::make_shared<Tensor>();
      const Tensor out =
          with_rule([self](const Tensor&, const Tensor& dy) -> Gradients { return {dy}; });
      *self = out;
      selves.push_back(self);
      return out;
    }
    if (fault == "hidden") return y + hidden * Real(0.001);
    if (fault == "child") return inner->training() ? y + Real(generator.uniform()) : y;
    if (fault == "drift") return y + Real(1e-3) * Real(calls);
    if (fault == "threads") return y * Real(1 + 1e-3 * double(num_threads()));
    if (fault == "batch mean") return y - sum_to(y, {1, 3}) * Real(1.0 / double(n));
    if (fault == "place") {
      Array places = empty({n, 1});
      for (std::size_t i = 0; i < n; ++i) places.data()[i] = Real(0.01) * Real(i);
      return y + Tensor(places);
    }
    if (fault == "digits") return y + (weight - Real(1) / 3) * Real(1e7);
    if (fault == "overflow") return log(exp(y) + Real(1));
    if (fault == "raw") {  // reads what may have changed
      const Tensor z = x * weight, w = bias;
      return record("faulty", {z, w}, Array((z * w).value()),
                    [z, w](const Tensor&, const Tensor& dy) -> Gradients {
                      if (grad_enabled()) return {dy * w, sum_to(dy * z, {3})};
                      return {dy * Tensor(Array(w.node()->value)), sum_to(dy * z, {3})};
                    });
    }
    if (fault == "saturated") return tanh(weight * Real(200)) + x + bias * Real(0.01);
    return y;
  }
};

// y = weight[ids], summed over the last axis of ids [N, T] or, where there are lengths, the mean of
// x [T, N, 2] over time, with the fault that is asked for.
struct FaultyTable : Module {
  std::string fault;
  bool sparse;
  Tensor weight;

  FaultyTable(std::string f, bool is_sparse, Generator& g)
      : fault(std::move(f)), sparse(is_sparse), weight(parameter("weight", normal({6, 2}, g))) {}

  Tensor operator()(const Indices& ids) const {
    const Tensor y = gather_rows(weight, ids, {}, sparse);
    if (fault == "dense" && !sparse) return y * Real(1.1);
    if (fault != "rows") return y;
    const Tensor w = weight;
    const SharedIndices rows(ids);
    return record("faulty", {w}, Array(y.value()),
                  [rows](const Tensor&, const Tensor& dy) -> Gradients {  // and always row 5
                    Indices more = empty<Indices>({rows.size() + 1});
                    std::copy(rows.data(), rows.data() + rows.size(), more.data());
                    more.data()[rows.size()] = 5;
                    const Tensor values = reshape(dy, {rows.size(), 2});
                    return {RowSparse{more, pad(values, 0, 0, 1), 6}};
                  });
  }
  Tensor operator()(const Sequences& s) const {
    check_lengths("", s.lengths, s.values.shape());
    const std::size_t T = s.values.shape(0), N = s.values.shape(1);
    Array mask = full({T, N, 1}, 0);
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t n = 0; n < N; ++n) mask(t, n, 0) = t < s.lengths[n];
    }
    const Tensor m(mask), w = slice(reshape(weight, {12}), 0, 0, 2), zero(full({}, 0));
    const Tensor kept = fault == "mask" ? s.values * m : where(m, s.values, zero);
    return reshape(sum_to((fault == "padding" ? s.values : kept) * w, {1, N, 2}), {N, 2});
  }
};

LayerTags faulty_tags() {
  LayerTags tags = batched("faulty");
  tags.output_shape = [](const LayerSample& s) { return s.x[0].shape(); };
  return tags;
}

std::string caught(const std::string& fault) {
  const Tensor x(Array{{1.5, -0.5, 0.25}, {-1, 2, 0.75}, {0.5, 1, -2}});
  const LayerReport report =
      check_layer([&](Generator& g) { return std::make_unique<Faulty>(fault, g); },
                  [](const Faulty& layer, const LayerSample& s) { return layer(s.x[0]); }, {{{x}}},
                  faulty_tags());
  return names_of_failed(report);
}

std::string caught_in_lookup(const std::string& fault) {
  const auto make = [fault](bool sparse) {
    return [=](Generator& g) { return std::make_shared<FaultyTable>(fault, sparse, g); };
  };
  LayerTags tags = batched("gather_rows");
  tags.make_dense = make(false);
  return names_of_failed(check_layer(
      make(true), [](const FaultyTable& layer, const LayerSample& s) { return layer(s.ids); },
      {{{}, {{0, 3, 3}, {2, 0, 1}}}}, tags));
}

std::string caught_in_sequences(const std::string& fault) {
  LayerTags tags = batched("", 1);
  tags.out_batch_axis = 0;
  tags.time_axis = 0;
  return names_of_failed(
      check_layer([=](Generator& g) { return std::make_shared<FaultyTable>(fault, true, g); },
                  [](const FaultyTable& layer, const LayerSample& s) {
                    return layer(Sequences{s.x[0], s.lengths});
                  },
                  {{{x_of({3, 2, 2})}, {}, {3, 1}}}, tags));
}

}  // namespace

TEST_CASE("check_layer: our own layers pass", "[check_layer]") {
  LayerTags linear_tags = batched("linear");
  linear_tags.output_shape = [](const LayerSample& s) { return Shape{s.x[0].shape(0), 2}; };
  linear_tags.parameters = {{"weight", {2, 3}}, {"bias", {2}}};
  passes(
      "Linear", 3, [](Generator& g) { return std::make_unique<Linear>(3, 2, g); },
      [](const Linear& layer, const LayerSample& s) { return layer(s.x[0]); }, {{{x_of({5, 3})}}},
      linear_tags);
  passes(
      "one number per example", 4, [](Generator& g) { return std::make_unique<Linear>(3, 2, g); },
      [](const Linear& layer, const LayerSample& s) { return sum(layer(s.x[0]), {1}); },
      {{{x_of({5, 3})}}}, batched("linear"));
  passes(
      "LayerNorm", 4, [](Generator&) { return std::make_unique<LayerNorm>(Shape{3}); },
      [](const LayerNorm& layer, const LayerSample& s) { return layer(s.x[0]); },
      {{{x_of({4, 3})}}}, batched(""));
  LayerTags conv = batched("conv1d");
  conv.feature_axis = 1;
  passes(
      "Conv1d", 4, [](Generator& g) { return std::make_unique<Conv1d>(2, 3, 2, g); },
      [](const Conv1d& layer, const LayerSample& s) { return layer(s.x[0]); },
      {{{x_of({3, 2, 5})}}}, conv);
  LayerTags any = batched("");
  any.any_shape = true;
  passes(
      "Dropout", 9, [](Generator& g) { return std::make_unique<Dropout>(0.5, g); },
      [](const Dropout& layer, const LayerSample& s) { return layer(s.x[0]); }, {{{x_of({4, 3})}}},
      any);
  passes(
      "Tanh", 9, [](Generator&) { return std::make_unique<Tanh>(); },
      [](const Tanh& layer, const LayerSample& s) { return layer(s.x[0]); }, {{{x_of({4, 3})}}},
      any);
  passes(
      "Sequential", 4,
      [](Generator& g) {
        auto net = std::make_unique<Sequential>();
        net->append<Linear>(3, 4, g).append<Dropout>(0.25, g).append<Tanh>().append<Linear>(4, 2,
                                                                                            g);
        return net;
      },
      [](const Sequential& net, const LayerSample& s) { return net(s.x[0]); }, {{{x_of({5, 3})}}},
      batched("linear"));
}

TEST_CASE("check_layer: lookups pass", "[check_layer]") {
  LayerTags tags = batched("embedding");
  const auto make = [](bool sparse) {
    return [sparse](Generator& g) {
      EmbeddingOptions options;
      options.padding_idx = 2;
      options.sparse = sparse;
      return std::make_unique<Embedding>(7, 3, g, options);
    };
  };
  tags.time_axis = 1;
  tags.padding_idx = 2;
  tags.make_dense = [=](Generator& g) { return std::shared_ptr<Module>(make(false)(g)); };
  tags.output_shape = [](const LayerSample& s) {
    Shape shape(s.ids.shape().begin(), s.ids.shape().end());
    shape.push_back(3);
    return shape;
  };
  const LayerSample sample{{}, {{0, 6, 6, 1}, {3, 2, 2, 2}, {0, 5, 4, 2}}};
  passes(
      "Embedding", 1, make(true),
      [](const Embedding& layer, const LayerSample& s) { return layer(s.ids); }, {sample}, tags);

  for (const BagMode mode : {BagMode::kSum, BagMode::kMean, BagMode::kMax}) {
    if (mode == BagMode::kMax && sizeof(Real) == 4) continue;  // its steps of 0.01 cross kinks
    const auto bags = [mode](bool sparse) {
      return [=](Generator& g) {
        EmbeddingBagOptions options;
        options.padding_idx = 2;
        options.mode = mode;
        options.sparse = sparse;
        return std::make_unique<EmbeddingBag>(7, 3, g, options);
      };
    };
    tags.name = "embedding_bag";
    tags.output_shape = [](const LayerSample& s) { return Shape{s.ids.shape()[0], 3}; };
    tags.make_dense = [=](Generator& g) { return std::shared_ptr<Module>(bags(false)(g)); };
    passes(
        "EmbeddingBag", 1, bags(true),
        [](const EmbeddingBag& layer, const LayerSample& s) { return layer(s.ids); }, {sample},
        tags);
  }
}

TEST_CASE("check_layer: recurrent layers pass", "[check_layer]") {
  const auto sequences = [](const char* name) {
    LayerTags tags = batched(name, 1);
    tags.time_axis = 0;
    tags.output_shape = [](const LayerSample& s) {
      return Shape{s.x[0].shape(0), s.x[0].shape(1), 4};
    };
    return tags;
  };
  const LayerSample plain{{x_of({3, 4, 2})}}, padded{{x_of({3, 4, 2})}, {}, {1, 3, 2, 3}};
  const auto call = [](const RecurrentLayer& layer, const LayerSample& s) {
    return s.lengths.empty() ? layer(s.x[0]).output
                             : layer(Sequences{s.x[0], s.lengths}).output.values;
  };
  RecurrentOptions both;
  both.bidirectional = true;
  both.num_layers = 2;
  both.dropout = 0.25;
  for (const bool fused : {true, false}) {
    LstmOptions options;
    static_cast<RecurrentOptions&>(options) = both;
    options.fused = fused;
    passes(
        fused ? "LSTM" : "LSTM, composed", 2,
        [=](Generator& g) { return std::make_shared<LSTM>(2, 2, g, options); }, call,
        {plain, padded}, sequences("lstm"));
  }
  passes(
      "GRU", 2, [=](Generator& g) { return std::make_shared<GRU>(2, 2, g, both); }, call,
      {plain, padded}, sequences("gru"));
  RnnOptions rnn;
  static_cast<RecurrentOptions&>(rnn) = both;
  passes(
      "RNN", 2, [=](Generator& g) { return std::make_shared<RNN>(2, 2, g, rnn); }, call,
      {plain, padded}, sequences("rnn"));
  LayerTags cell = batched("");
  passes(
      "LSTMCell", 4, [](Generator& g) { return std::make_unique<LSTMCell>(2, 3, g); },
      [](const LSTMCell& layer, const LayerSample& s) {
        return layer(s.x[0], {s.x[1], s.x[2]}).h;
      },
      {{{x_of({3, 2}), x_of({3, 3}), x_of({3, 3})}}}, cell);
}

TEST_CASE("check_layer: each check catches the layer that is broken for it", "[check_layer]") {
  const bool in_double = sizeof(Real) == 8;
  CHECK(caught("none") == "");
  CHECK_THAT(caught("seed"), ContainsText("same seed, same parameters"));
  CHECK_THAT(caught("nan"), ContainsText("names and shapes of parameters"));
  CHECK(caught("unused") == "every parameter gets a gradient");
  CHECK(caught("squeeze") == "output shape, a batch is each alone");
  CHECK(caught("first") == "first derivative");
  CHECK(caught("second") == "second derivative");
  CHECK(caught("again") == "second derivative, two backwards add up");
  CHECK(caught("counter") == "a call changes nothing");
  CHECK(caught("no graph") == "the same without a graph");
  CHECK(caught("leak") == "nothing stays alive");
  CHECK(caught("hidden") == "load into another");
  CHECK(caught("child") == "train and eval reach children");
  CHECK_THAT(caught("drift"), ContainsText("repeatable"));
  CHECK(caught("threads") == "threads");
  CHECK(caught("batch mean") == "a batch is each alone");
  CHECK_THAT(caught("place"), ContainsText("the order of a batch"));
  if (in_double) CHECK_THAT(caught("digits"), ContainsText("rounding"));
  CHECK(caught("overflow") == "extreme inputs");
  CHECK(caught("wider") == "wrong arguments are refused");
  CHECK(caught("raw") == "stale graphs are refused");
  CHECK(caught("saturated") == "learns eight samples");
  CHECK(caught_in_lookup("none") == "");
  CHECK(caught_in_lookup("dense") == "sparse is dense");
  CHECK(caught_in_lookup("rows") == "rows that are not named");
  CHECK(caught_in_sequences("none") == "");
  CHECK(caught_in_sequences("mask") == "padding counts for nothing");
  CHECK_THAT(caught_in_sequences("padding"), ContainsText("padding counts for nothing"));
}

TEST_CASE("check_layer: no check run is a failure, and none fails in silence", "[check_layer]") {
  const auto make = [](Generator& g) { return std::make_unique<Linear>(3, 2, g); };
  const auto call = [](const Linear& layer, const LayerSample& s) { return layer(s.x[0]); };
  CHECK(error_of<std::invalid_argument>([&] { check_layer(make, call, {}); }) ==
        "check_layer: needs samples, got none");
  LayerReport nothing;
  CHECK(!nothing.ok());
  CHECK(error_of([&] { nothing.require(); }) == "check_layer: no check ran");
  // a sample that the layer refuses fails one check; no other runs
  for (const bool first : {true, false}) {
    const LayerSample right{{x_of({2, 3})}}, wrong{{x_of({2, 4})}};
    const LayerReport refused =
        check_layer(make, call, {first ? wrong : right, first ? right : wrong});
    CHECK(names_of_failed(refused) == "output shape");
    CHECK(refused.count(LayerReport::Verdict::kSkipped) == 24);
    CHECK_THAT(error_of([&] { refused.require(); }), ContainsText("output shape: linear: "));
  }
}
