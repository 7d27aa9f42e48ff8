// LSTM, GRU and RNN as layers: names, options, lengths, derivatives, and what they refuse. Their
// values are compared with PyTorch's in test_pytorch.cpp, the fused LSTM's in test_lstm.cpp.
#include <iostream>
#include <sstream>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

constexpr double kTolerance = sizeof(Real) == 4 ? 1e-5 : 1e-10;

std::string names_of(const Module& module) {
  std::string names;
  for (const auto& [name, tensor] : module.state_dict())
    names += name + message(' ', tensor.shape(), '\n');
  return names;
}

void check_equal(const Array& a, const Array& b) {
  REQUIRE(a.shape() == b.shape());
  for (std::size_t i = 0; i < a.size(); ++i)
    CHECK_THAT(double(a.data()[i]), WithinAbs(double(b.data()[i]), kTolerance));
}

void copy_parameters(const Module& from, Module& to) {
  std::map<std::string, Array> values;
  for (const auto& [name, tensor] : from.state_dict()) values.emplace(name, tensor.value());
  to.load_state_dict(values);
}

template <class F>
std::string invalid(F f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "nothing was thrown";
}

// Every output but `last`, which is made of h_n, each element with a weight of its own.
template <class S>
Tensor weigh(const RecurrentOutput<S>& out) {
  Generator g(99);
  const auto weighed = [&](const Tensor& y) { return sum(y * Tensor(normal(y.shape(), g))); };
  Tensor total = weighed(out.h_n);
  if (out.c_n.defined()) total = total + weighed(out.c_n);
  if constexpr (std::is_same_v<S, Sequences>) return total + weighed(out.output.values);
  if constexpr (std::is_same_v<S, Tensor>) return total + weighed(out.output);
}

// What stderr gets while it lives.
struct Stderr {
  std::ostringstream text;
  std::streambuf* before = std::cerr.rdbuf(text.rdbuf());
  ~Stderr() { std::cerr.rdbuf(before); }
};

}  // namespace

TEST_CASE("recurrent layers and cells have PyTorch's names and shapes", "[recurrent]") {
  Generator g(1);
  LstmOptions options;
  options.num_layers = 2;
  options.bidirectional = true;
  options.proj_size = 3;
  CHECK(names_of(LSTM(5, 4, g, options)) ==
        "weight_ih_l0 [16, 5]\nweight_hh_l0 [16, 3]\n"
        "bias_ih_l0 [16]\nbias_hh_l0 [16]\nweight_hr_l0 [3, 4]\n"
        "weight_ih_l0_reverse [16, 5]\nweight_hh_l0_reverse [16, 3]\n"
        "bias_ih_l0_reverse [16]\nbias_hh_l0_reverse [16]\nweight_hr_l0_reverse [3, 4]\n"
        "weight_ih_l1 [16, 6]\nweight_hh_l1 [16, 3]\n"
        "bias_ih_l1 [16]\nbias_hh_l1 [16]\nweight_hr_l1 [3, 4]\n"
        "weight_ih_l1_reverse [16, 6]\nweight_hh_l1_reverse [16, 3]\n"
        "bias_ih_l1_reverse [16]\nbias_hh_l1_reverse [16]\nweight_hr_l1_reverse [3, 4]\n");
  RecurrentOptions no_bias;
  no_bias.bias = false;
  CHECK(names_of(GRU(5, 4, g, no_bias)) == "weight_ih_l0 [12, 5]\nweight_hh_l0 [12, 4]\n");
  CHECK(names_of(RNN(5, 4, g)) ==
        "weight_ih_l0 [4, 5]\nweight_hh_l0 [4, 4]\nbias_ih_l0 [4]\nbias_hh_l0 [4]\n");
  CHECK(names_of(LSTMCell(5, 4, g)) ==
        "weight_ih [16, 5]\nweight_hh [16, 4]\nbias_ih [16]\nbias_hh [16]\n");
  CHECK(names_of(GRUCell(5, 4, g, false)) == "weight_ih [12, 5]\nweight_hh [12, 4]\n");
  CHECK(names_of(RNNCell(5, 4, g, false)) == "weight_ih [4, 5]\nweight_hh [4, 4]\n");
}

TEST_CASE("all parameters of recurrent layers start within 1 / sqrt(hidden_size)", "[recurrent]") {
  Generator g(1);
  LstmOptions options;
  options.num_layers = 2;
  options.proj_size = 40;
  for (const Tensor& p : LSTM(9, 100, g, options).parameters()) {
    const auto [low, high] = std::minmax_element(p.value().begin(), p.value().end());
    CHECK_THAT(double(*low), WithinAbs(-0.1, 0.002));
    CHECK_THAT(double(*high), WithinAbs(0.1, 0.002));
  }
}

TEST_CASE("last is what PyTorch's h_n holds of the last layer, directions side by side",
          "[recurrent]") {
  Generator g(1);
  const Sequences x{Tensor(normal({4, 3, 2}, g)), {2, 4, 1}};
  RecurrentOptions options;
  options.num_layers = 2;
  const RecurrentOutput<Sequences> one = GRU(2, 3, g, options)(x);
  CHECK(one.h_n.shape() == Shape{2, 3, 3});
  CHECK((one.last.value() == reshape(slice(one.h_n, 0, 1, 2), {3, 3}).value()));
  options.bidirectional = true;
  const RecurrentOutput<Sequences> both = GRU(2, 3, g, options)(x);
  CHECK(both.h_n.shape() == Shape{4, 3, 3});
  for (std::size_t n = 0; n < 3; ++n) {
    for (std::size_t j = 0; j < 3; ++j) {
      CHECK(both.last.value()(n, j) == both.h_n.value()(2, n, j));
      CHECK(both.last.value()(n, 3 + j) == both.h_n.value()(3, n, j));
      // forwards ends at the row's end, backwards at its beginning
      CHECK(both.last.value()(n, j) == both.output.values.value()(x.lengths[n] - 1, n, j));
      CHECK(both.last.value()(n, 3 + j) == both.output.values.value()(0, n, 3 + j));
    }
  }
}

TEST_CASE("a row among longer ones is what it is alone, in both directions", "[recurrent]") {
  Generator g(3);
  RecurrentOptions options;
  options.num_layers = 2;
  options.bidirectional = true;
  const Lengths lengths{2, 5, 1, 4};
  const Tensor x(normal({5, 4, 3}, g), true);
  const auto check = [&](const auto& layer) {
    const auto out = layer(Sequences{x, lengths});
    const Array dx = dense(gradients(weigh(out), {x})[0]).value();
    for (std::size_t n = 0; n < 4; ++n) {
      const auto alone = layer(slice(slice(x, 1, n, n + 1), 0, 0, lengths[n]));
      check_equal(slice(out.h_n, 1, n, n + 1).value(), alone.h_n.value());
      check_equal(slice(slice(out.output.values, 1, n, n + 1), 0, 0, lengths[n]).value(),
                  alone.output.value());
      for (std::size_t t = lengths[n]; t < 5; ++t) {
        for (std::size_t d = 0; d < 3; ++d) CHECK(dx(t, n, d) == 0);
        for (std::size_t j = 0; j < 4; ++j) CHECK(out.output.values.value()(t, n, j) == 0);
      }
    }
  };
  LstmOptions lstm;
  static_cast<RecurrentOptions&>(lstm) = options;
  check(LSTM(3, 2, g, lstm));
  lstm.proj_size = 1;
  lstm.fused = false;
  LSTM projected(3, 4, g, lstm);
  CHECK(projected(x).output.shape() == Shape{5, 4, 2});
  CHECK(projected(x).c_n.shape() == Shape{4, 4, 4});
  RnnOptions rnn;
  for (const bool fused : {true, false}) {
    options.fused = fused;
    static_cast<RecurrentOptions&>(rnn) = options;
    check(GRU(3, 2, g, options));
    check(RNN(3, 2, g, rnn));
  }
}

TEST_CASE("NaN in the padding reaches neither an output nor a gradient", "[recurrent]") {
  Generator g(4);
  RecurrentOptions options;
  options.bidirectional = true;
  const Lengths lengths{2, 3, 1};
  Array values = normal({3, 3, 2}, g);
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t n = 0; n < 3; ++n) {
      if (t >= lengths[n])
        values(t, n, 0) = values(t, n, 1) = std::numeric_limits<Real>::quiet_NaN();
    }
  }
  const Tensor x(values, true);
  const auto check = [&](const auto& layer) {
    Tensors xs = layer.parameters();
    xs.push_back(x);
    const Tensor loss = weigh(layer(Sequences{x, lengths}));
    CHECK(std::isfinite(loss.item()));
    for (const Gradient& gradient : gradients(loss, xs)) {
      for (Real v : dense(gradient).value()) CHECK(std::isfinite(v));
    }
  };
  LstmOptions lstm;
  static_cast<RecurrentOptions&>(lstm) = options;
  check(LSTM(2, 2, g, lstm));
  lstm.fused = false;
  check(LSTM(2, 2, g, lstm));
  RnnOptions rnn;
  for (const bool fused : {true, false}) {
    options.fused = fused;
    static_cast<RecurrentOptions&>(rnn) = options;
    check(GRU(2, 2, g, options));
    check(RNN(2, 2, g, rnn));
  }
}

// `options` with random values, over random inputs; the layer is also called with `states` states.
template <class Layer, class Options>
void compare_with_composed(Options options, std::size_t states, Generator& g) {
  for (int round = 0; round < 30; ++round) {
    options.num_layers = 1 + g.below(3);
    options.bidirectional = g.below(2) == 0;
    options.bias = g.below(2) == 0;
    options.batch_first = g.below(2) == 0;
    const std::size_t T = 1 + g.below(5), N = 1 + g.below(4), D = 1 + g.below(3),
                      H = 1 + g.below(4);
    const std::size_t L = options.num_layers * (options.bidirectional ? 2 : 1);
    options.fused = true;
    Layer fused(D, H, g, options);
    options.fused = false;
    Layer composed(D, H, g, options);
    copy_parameters(fused, composed);
    Lengths lengths;
    for (std::size_t n = 0; n < N; ++n) lengths.push_back(1 + g.below(T));
    const bool ragged = g.below(2) == 0;
    const Tensor x(normal(ragged || !options.batch_first ? Shape{T, N, D} : Shape{N, T, D}, g),
                   true);
    Tensors start(2);
    if (g.below(2) == 0) {
      for (std::size_t k = 0; k < states; ++k) start[k] = Tensor(normal({L, N, H}, g), true);
    }
    INFO(typeid(Layer).name() << ", round " << round);
    const auto run = [&](const Layer& layer, const auto& input) {
      if constexpr (std::is_same_v<Layer, LSTM>)
        return weigh(layer(input, start[0], start[1]));
      else
        return weigh(layer(input, start[0]));
    };
    const auto results = [&](const Layer& layer) {
      const Tensor y = ragged ? run(layer, Sequences{x, lengths}) : run(layer, x);
      Tensors leaves = layer.parameters();
      leaves.push_back(x);
      for (const Tensor& s : start) {
        if (s.defined()) leaves.push_back(s);
      }
      std::vector<Array> values{y.value()};
      for (const Gradient& d : gradients(y, leaves)) values.push_back(dense(d).value());
      return values;
    };
    const std::vector<Array> a = results(fused), b = results(composed);
    for (std::size_t i = 0; i < a.size(); ++i) check_equal(a[i], b[i]);
  }
}

TEST_CASE("fused layers equal their composed twins under random options", "[recurrent]") {
  Generator g(17);
  compare_with_composed<LSTM>(LstmOptions{}, 2, g);
  compare_with_composed<GRU>(RecurrentOptions{}, 1, g);
  RnnOptions options;
  compare_with_composed<RNN>(options, 1, g);
  options.nonlinearity = Nonlinearity::kRelu;
  compare_with_composed<RNN>(options, 1, g);
}

TEST_CASE("batch_first exchanges the first two axes of input and output, not of states",
          "[recurrent]") {
  Generator g(1);
  RecurrentOptions options;
  GRU time_first(3, 2, g, options);
  options.batch_first = true;
  GRU batch_first(3, 2, g, options);
  copy_parameters(time_first, batch_first);
  const Tensor x(normal({5, 4, 3}, g)), h_0(normal({1, 4, 2}, g));
  const RecurrentOutput<Tensor> a = time_first(x, h_0), b = batch_first(transpose(x), h_0);
  CHECK((b.output.value() == transpose(a.output).value()));
  CHECK((b.h_n.value() == a.h_n.value()));
  CHECK((b.last.value() == a.last.value()));
  const Sequences sequences{x, {5, 2, 3, 1}};
  CHECK((batch_first(sequences).output.values.value() ==
         time_first(sequences).output.values.value()));
}

TEST_CASE("a cell repeated is the layer", "[recurrent]") {
  Generator g(1);
  const Tensor x(normal({3, 2, 4}, g));
  const auto step = [&](std::size_t t) { return reshape(slice(x, 0, t, t + 1), {2, 4}); };
  const auto load = [](const Module& layer, Module& cell) {  // the names without _l0
    std::map<std::string, Array> values;
    for (const auto& [name, p] : layer.state_dict())
      values.emplace(name.substr(0, name.size() - 3), p.value());
    cell.load_state_dict(values);
  };
  const LSTM lstm(4, 3, g);
  LSTMCell lstm_cell(4, 3, g);
  load(lstm, lstm_cell);
  LstmState s = lstm_cell(step(0));
  for (std::size_t t = 1; t < 3; ++t) s = lstm_cell(step(t), s);
  check_equal(s.h.value(), lstm(x).last.value());
  const GRU gru(4, 3, g);
  GRUCell gru_cell(4, 3, g);
  load(gru, gru_cell);
  check_equal(gru_cell(step(2), gru_cell(step(1), gru_cell(step(0)))).value(), gru(x).last.value());
  const RNN rnn(4, 3, g);
  RNNCell rnn_cell(4, 3, g);
  load(rnn, rnn_cell);
  check_equal(rnn_cell(step(2), rnn_cell(step(1), rnn_cell(step(0)))).value(), rnn(x).last.value());
}

TEST_CASE("dropout acts between layers, in training, and nowhere else", "[recurrent]") {
  Generator g(1);
  const Tensor x(normal({6, 4, 3}, g));
  RecurrentOptions options;
  options.num_layers = 2;
  GRU plain(3, 8, g, options);
  options.dropout = 0.5;
  GRU dropping(3, 8, g, options);
  copy_parameters(plain, dropping);
  const RecurrentOutput<Tensor> a = plain(x), b = dropping(x);
  // the first layer reads the input itself, and its state is not touched
  CHECK((slice(a.h_n, 0, 0, 1).value() == slice(b.h_n, 0, 0, 1).value()));
  CHECK((a.last.value() != b.last.value()));
  // nor does the output lose elements: none of a GRU's is zero by itself
  const Array& y = b.output.value();
  CHECK(std::none_of(y.begin(), y.end(), [](Real v) { return v == 0; }));
  dropping.eval();
  CHECK((dropping(x).output.value() == a.output.value()));
}

TEST_CASE("dropout in a recurrent network of one layer warns that it does nothing", "[recurrent]") {
  Generator g(1);
  LstmOptions options;
  options.dropout = 0.5;
  {
    Stderr err;
    LSTM lstm(3, 2, g, options);
    CHECK(err.text.str() == "lstm: dropout acts between layers; with one layer it has no effect\n");
  }
  Stderr err;
  options.num_layers = 2;
  LSTM two(3, 2, g, options);
  LSTM none(3, 2, g);
  CHECK(err.text.str() == "");
}

TEST_CASE("ids with lengths become vectors with lengths", "[recurrent]") {
  Generator g(1);
  const Embedding embedding(7, 3, g);
  const IdSequences ids{{{1, 2}, {3, 0}}, {2, 1}};
  const Sequences x = embedding(ids);
  CHECK((x.values.value() == embedding(ids.ids).value()));
  CHECK(x.lengths == Lengths{2, 1});
}

#ifdef GRADWALK_DOUBLE
TEST_CASE("recurrent layers agree with finite differences to second order", "[recurrent]") {
  Generator g(4);
  const Tensor x(normal({3, 2, 2}, g), true);
  const Sequences full_rows{x, {3, 3}}, ragged{x, {1, 3}};
  const auto check_layer = [&](const Module& layer, Tensors leaves, std::function<Tensor()> f) {
    for (const Tensor& p : layer.parameters()) leaves.push_back(p);
    CHECK_NOTHROW(check_gradients(f, leaves));
  };
  const auto state = [&](std::size_t L, std::size_t H) {
    return Tensor(normal({L, 2, H}, g), true);
  };
  for (bool bidirectional : {false, true}) {
    for (bool bias : {false, true}) {
      const std::size_t L = bidirectional ? 4 : 2;
      const auto set = [&](RecurrentOptions& options) {
        options.num_layers = 2;
        options.bidirectional = bidirectional;
        options.bias = bias;
      };
      const Sequences& in = bias ? ragged : full_rows;
      for (std::size_t kind : {0, 1, 2}) {  // fused, composed, projected
        LstmOptions options;
        set(options);
        options.fused = kind == 0;
        options.proj_size = kind == 2 ? 1 : 0;
        const LSTM lstm(2, 2, g, options);
        const Tensor h_0 = state(L, kind == 2 ? 1 : 2), c_0 = state(L, 2);
        check_layer(lstm, {x, h_0, c_0}, [&] { return weigh(lstm(in, h_0, c_0)); });
      }
      RecurrentOptions options;
      set(options);
      const GRU gru(2, 2, g, options);
      const Tensor h_0 = state(L, 2);
      check_layer(gru, {x, h_0}, [&] { return weigh(gru(in, h_0)); });
      for (Nonlinearity f : {Nonlinearity::kTanh, Nonlinearity::kRelu}) {
        RnnOptions of_rnn;
        set(of_rnn);
        of_rnn.nonlinearity = f;
        const RNN rnn(2, 2, g, of_rnn);
        check_layer(rnn, {x, h_0}, [&] { return weigh(rnn(in, h_0)); });
      }
    }
  }
  LstmOptions options;
  options.batch_first = true;
  const LSTM batch_first(2, 2, g, options);
  check_layer(batch_first, {x}, [&] { return weigh(batch_first(x)); });
  RecurrentOptions dropping;
  dropping.num_layers = 2;
  dropping.dropout = 0.4;
  Generator same(9);  // the mask must be the same in every call
  const GRU gru(2, 2, same, dropping);
  check_layer(gru, {x}, [&] {
    same = Generator(9);
    return weigh(gru(ragged));
  });
}
#endif

TEST_CASE("recurrent layers take empty batches and inputs of size 0", "[recurrent]") {
  Generator g(1);
  RecurrentOptions options;
  options.num_layers = 2;
  options.bidirectional = true;
  const auto check = [&](const auto& layer, std::size_t N, std::size_t D, const Lengths& lengths) {
    const Tensor x(normal({3, N, D}, g), true), h_0(normal({4, N, 2}, g), true);
    const auto out = layer(Sequences{x, lengths}, h_0);
    CHECK(out.output.values.shape() == Shape{3, N, 4});
    CHECK(out.h_n.shape() == Shape{4, N, 2});
    const Gradients d = gradients(weigh(out), {x, h_0});
    CHECK(dense(d[0]).shape() == x.shape());
    CHECK(dense(d[1]).shape() == h_0.shape());
  };
  for (const auto& [N, D, lengths] :
       {std::tuple<std::size_t, std::size_t, Lengths>{0, 2, {}}, {2, 0, {1, 3}}}) {
    LstmOptions lstm;
    static_cast<RecurrentOptions&>(lstm) = options;
    check(LSTM(D, 2, g, lstm), N, D, lengths);
    lstm.fused = false;
    check(LSTM(D, 2, g, lstm), N, D, lengths);
    check(GRU(D, 2, g, options), N, D, lengths);
    RnnOptions rnn;
    static_cast<RecurrentOptions&>(rnn) = options;
    check(RNN(D, 2, g, rnn), N, D, lengths);
  }
}

TEST_CASE("what one call of a recurrent layer records", "[recurrent]") {
  Generator g(1);
  const Tensor x(normal({3, 2, 4}, g));
  const auto ops_of = [](const std::function<void()>& call) {
    struct Ops : Observer {
      std::string all;
      void on_forward(const char* op, const Tensors&, const Tensors&) override {
        all += (all.empty() ? "" : " ") + std::string(op);
      }
    } ops;
    call();
    return ops.all;
  };
  const LSTM lstm(4, 3, g);
  CHECK(ops_of([&] { lstm(x); }) == "lstm reshape reshape");
  const Tensor state(normal({1, 2, 3}, g));
  CHECK(ops_of([&] { lstm(x, state, state); }) == "reshape reshape lstm reshape reshape");
}

TEST_CASE("what recurrent layers refuse, and their words", "[recurrent]") {
  Generator g(1);
  const auto zeros = [](const Shape& shape) { return Tensor(full(shape, 0)); };
  const GRU gru(3, 2, g);
  CHECK(invalid([&] {
          gru(zeros({4, 2}));
        }) == "gru: the input must be [T, N, 3] with T > 0, got [4, 2]");
  CHECK(invalid([&] {
          gru(zeros({0, 2, 3}));
        }) == "gru: the input must be [T, N, 3] with T > 0, got [0, 2, 3]");
  CHECK(invalid([&] {
          gru(zeros({4, 2, 5}));
        }) == "gru: the input must be [T, N, 3] with T > 0, got [4, 2, 5]");
  CHECK(invalid([&] {
          gru(Sequences{zeros({4, 2, 3}), {}});
        }) == "gru: needs N = 2 lengths for values [T, N, D] = [4, 2, 3], got 0");
  CHECK(invalid([&] {
          gru(Sequences{zeros({4, 2, 3}), {4, 0}});
        }) ==
        "gru: lengths must be from 1 to T = 4 for values [T, N, D] = [4, 2, 3], got 0 for row 1");
  CHECK(invalid([&] {
          gru(Sequences{zeros({4, 2, 3}), {5, 1}});
        }) ==
        "gru: lengths must be from 1 to T = 4 for values [T, N, D] = [4, 2, 3], got 5 for row 0");
  CHECK(invalid([&] {
          gru(zeros({4, 2, 3}), zeros({2, 2}));
        }) == "gru: h_0 must be [1, 2, 2], got [2, 2]");
  LstmOptions options;
  options.batch_first = true;
  options.proj_size = 1;
  const LSTM lstm(3, 2, g, options);
  CHECK(invalid([&] {
          lstm(zeros({4, 0, 3}));
        }) == "lstm: the input must be [N, T, 3] with T > 0, got [4, 0, 3]");
  CHECK(invalid([&] {
          lstm(zeros({2, 4, 3}), zeros({1, 2, 2}));
        }) == "lstm: h_0 must be [1, 2, 1], got [1, 2, 2]");
  CHECK(invalid([&] {
          lstm(zeros({2, 4, 3}), {}, zeros({1, 2, 1}));
        }) == "lstm: c_0 must be [1, 2, 2], got [1, 2, 1]");
  options.proj_size = 2;
  CHECK(invalid([&] { LSTM(3, 2, g, options); }) ==
        "lstm: proj_size must be less than hidden_size 2, got 2");
  RecurrentOptions bad;
  bad.num_layers = 0;
  CHECK(invalid([&] { GRU(3, 2, g, bad); }) == "gru: num_layers must be positive");
  bad.num_layers = 2;
  bad.dropout = 1;
  CHECK(invalid([&] { GRU(3, 2, g, bad); }) == "gru: dropout must be in [0, 1), got 1");
  CHECK(invalid([&] { RNN(3, 0, g); }) == "rnn: hidden_size must be positive");
  CHECK(invalid([&] { GRUCell(3, 2, g)(zeros({3})); }) ==
        "gru_cell: the input must be [N, D], got [3]");
  CHECK(invalid([&] {
          RNNCell(3, 2, g)(zeros({4, 5}));
        }) == "rnn_cell: weight_ih must be [2, 5] for an input [4, 5], got [2, 3]");
  CHECK(invalid([&] {
          LSTMCell(3, 2, g)(zeros({4, 3}), {zeros({3, 2}), {}});
        }) == "lstm_cell: h must be [4, 2], got [3, 2]");
  CHECK(invalid([&] {
          LSTMCell(3, 2, g)(zeros({4, 3}), {{}, zeros({4, 1})});
        }) == "lstm_cell: c must be [4, 2], got [4, 1]");
  const RecurrentParameters none{zeros({0, 3}), zeros({0, 0}), {}, {}, {}};
  const Tensor x = zeros({4, 3});
  CHECK(invalid([&] { rnn_cell(x, {}, none); }) ==
        "rnn_cell: weight_hh must be [1H, H] with H > 0, got [0, 0]");
  CHECK(invalid([&] { gru_cell(x, {}, none); }) ==
        "gru_cell: weight_hh must be [3H, H] with H > 0, got [0, 0]");
  CHECK(invalid([&] { lstm_cell(x, {}, none); }) ==
        "lstm_cell: weight_hh must be [4H, H] with H > 0, got [0, 0]");
  CHECK(invalid([&] {
          lstm_cell(x, {}, {zeros({8, 3}), zeros({8, 0}), {}, {}, zeros({0, 2})});
        }) == "lstm_cell: weight_hh must be [4H, R] with R > 0, got [8, 0]");
  CHECK(invalid([&] { gru_cell(x, {}, {}); }) == "gru_cell: needs weight_ih and weight_hh");
  CHECK(invalid([&] {
          reverse_sequences(zeros({4, 2}));
        }) == "reverse_sequences: the input must be [T, N, D], got [4, 2]");
}

TEST_CASE("what unroll refuses of cells and states, and its words", "[recurrent]") {
  const auto zeros = [](const Shape& shape) { return Tensor(full(shape, 0)); };
  const Tensor x = zeros({3, 2, 4}), h = zeros({2, 5});
  const auto error = [&](const Tensors& returned, const Tensors& start, bool both_ways = false) {
    const Cell cell = [&](const Tensor&, const Tensors&) { return returned; };
    return invalid([&] { unroll(std::vector<Cell>(both_ways ? 2 : 1, cell), x, start); });
  };
  CHECK(error({h}, {h}) == "nothing was thrown");
  CHECK(error({h}, {Tensor()}) == "nothing was thrown");
  const std::string count = "unroll: the cell must return as many states as it is given, ";
  CHECK(error({}, {h}) == count + "1, got 0");
  CHECK(error({h}, {h, h}) == count + "2, got 1");
  CHECK(error({h, h}, {h}) == count + "1, got 2");
  CHECK(error({h, zeros({2, 4})}, {h, h}) ==
        "unroll: the cell must return state 1 as [2, 5], got [2, 4]");
  CHECK(error({Tensor()}, {h}) ==
        "unroll: the cell must return state 0 as [2, 5], got an undefined tensor");
  const std::string first = "unroll: the cell must return state 0 as [2, H], got ";
  CHECK(error({Tensor()}, {Tensor()}) == first + "an undefined tensor");
  CHECK(error({zeros({3, 5})}, {Tensor()}) == first + "[3, 5]");
  CHECK(error({zeros({2})}, {Tensor()}) == first + "[2]");
  CHECK(error({}, {}) == "unroll: needs at least one state, got none; it may be undefined");
  CHECK(error({h}, {zeros({3, 5})}) == "unroll: a state must be [2, H], got [3, 5]");
  CHECK(error({h}, {zeros({2})}) == "unroll: a state must be [2, H], got [2]");
  CHECK(error({h}, {h}, true) == "unroll: a state must be [2, 2 * H], got [2, 5]");
}
