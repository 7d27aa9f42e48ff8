// The fused LSTM against its readable twin, and both against what padding must mean.
#include <limits>
#include <typeinfo>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

constexpr double kTolerance = sizeof(Real) == 4 ? 1e-5 : 1e-10;

struct Case {
  std::size_t T, N, D, H;
  Lengths lengths;
  bool bias = true, h_0 = false, c_0 = false, both_ways = false;
};

struct Inputs {
  Tensor x;
  Directions directions;
  Tensor h_0, c_0;

  std::vector<Tensor> all() const {
    std::vector<Tensor> defined;
    const auto add = [&](const Tensors& some) {
      for (const Tensor& t : some) {
        if (t.defined()) defined.push_back(t);
      }
    };
    add({x, h_0, c_0});
    for (const RecurrentParameters& p : directions)
      add({p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh});
    return defined;
  }
};

Inputs make_inputs(const Case& c, std::uint64_t seed = 1) {
  Generator g(seed);
  const Real b = 1 / std::sqrt(Real(c.H));
  const auto leaf = [](bool there, Array value) {
    return there ? Tensor(std::move(value), true) : Tensor();
  };
  Inputs in{leaf(true, normal({c.T, c.N, c.D}, g)), {}, {}, {}};
  for (std::size_t d = 0; d < (c.both_ways ? 2 : 1); ++d)
    in.directions.push_back({leaf(true, uniform({4 * c.H, c.D}, -b, b, g)),
                             leaf(true, uniform({4 * c.H, c.H}, -b, b, g)),
                             leaf(c.bias, uniform({4 * c.H}, -b, b, g)),
                             leaf(c.bias, uniform({4 * c.H}, -b, b, g)),
                             {}});
  in.h_0 = leaf(c.h_0, normal({c.N, in.directions.size() * c.H}, g));
  in.c_0 = leaf(c.c_0, normal({c.N, in.directions.size() * c.H}, g));
  return in;
}

void check_equal(const std::string& what, const Array& a, const Array& b,
                 double tolerance = kTolerance) {
  INFO(what);
  REQUIRE(a.shape() == b.shape());
  double worst = 0, largest = 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a.data()[i]));
    worst = std::max(worst, std::abs(double(a.data()[i]) - double(b.data()[i])));
    largest = std::max(largest, std::abs(double(b.data()[i])));
  }
  CHECK(worst <= tolerance * largest);
}

// Every output counts, each element with a weight of its own.
Tensor weigh(const LstmOutput& out) {
  Generator g(99);
  return sum(out.output * Tensor(normal(out.output.shape(), g))) +
         sum(out.h_n * Tensor(normal(out.h_n.shape(), g))) +
         sum(out.c_n * Tensor(normal(out.c_n.shape(), g)));
}

void check_twins(const Case& c, std::uint64_t seed) {
  INFO("[T, N, D, H] = " << message(Shape{c.T, c.N, c.D, c.H}) << ", lengths " << message(c.lengths)
                         << ", bias " << c.bias << ", h_0 " << c.h_0 << ", c_0 " << c.c_0
                         << ", both ways " << c.both_ways);
  const Inputs in = make_inputs(c, seed);
  const LstmOutput fused = lstm(in.x, in.directions, c.lengths, in.h_0, in.c_0),
                   composed = lstm_composed(in.x, in.directions, c.lengths, in.h_0, in.c_0);
  check_equal("output", fused.output.value(), composed.output.value());
  check_equal("h_n", fused.h_n.value(), composed.h_n.value());
  check_equal("c_n", fused.c_n.value(), composed.c_n.value());
  const Gradients a = gradients(weigh(fused), in.all()), b = gradients(weigh(composed), in.all());
  for (std::size_t i = 0; i < a.size(); ++i)
    check_equal(message("gradient ", i), dense(a[i]).value(), dense(b[i]).value());
}

template <class F>
std::string invalid(F f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return typeid(e) == typeid(std::invalid_argument) ? e.what() : "another type";
  }
  return "nothing was thrown";
}

using Lstm = LstmOutput (*)(const Tensor&, const RecurrentParameters&, const Lengths&);
LstmOutput run_fused(const Tensor& x, const RecurrentParameters& p, const Lengths& lengths) {
  return lstm(x, {p}, lengths);
}
LstmOutput run_composed(const Tensor& x, const RecurrentParameters& p, const Lengths& lengths) {
  return lstm_composed(x, {p}, lengths);
}

}  // namespace

TEST_CASE("the fused lstm equals its composed twin", "[lstm]") {
  for (const Case& c :
       {Case{5, 3, 4, 6, {}}, Case{1, 3, 2, 2, {}}, Case{4, 1, 3, 2, {}}, Case{3, 2, 2, 1, {}},
        Case{1, 1, 1, 1, {}}, Case{6, 5, 3, 4, {6, 5, 3, 3, 1}}, Case{6, 5, 3, 4, {1, 6, 2, 6, 3}},
        Case{6, 3, 2, 2, {2, 2, 2}}, Case{7, 9, 20, 67, {7, 7, 6, 6, 4, 3, 2, 1, 1}},
        Case{4, 0, 2, 3, {}}, Case{4, 0, 2, 3, {}, true, true, true, true}, Case{3, 2, 0, 2, {}},
        Case{3, 2, 0, 2, {3, 1}, true, true, true, true}, Case{12, 33, 5, 32, {}}}) {
    check_twins(c, 1);
  }
}

TEST_CASE("the fused lstm equals its twin at random sizes, lengths, states and biases", "[lstm]") {
  Generator g(23);
  for (std::uint64_t round = 0; round < 60; ++round) {
    Case c{1 + g.below(7),  1 + g.below(6),  1 + g.below(5),  1 + g.below(9), {},
           g.below(2) == 0, g.below(2) == 0, g.below(2) == 0, g.below(2) == 0};
    for (std::size_t n = 0; n < c.N; ++n) c.lengths.push_back(1 + g.below(c.T));
    if (round % 2 == 0) std::sort(c.lengths.rbegin(), c.lengths.rend());
    check_twins(c, round);
  }
}

TEST_CASE("one step of an lstm, worked out by hand", "[lstm]") {
  // H = D = 1; pre-activations i = log 3, f = 0, g = 1, o = -log 3 from x = 1 and the biases
  const auto column = [](std::vector<double> v) {
    Array a = empty({4, 1});
    std::copy(v.begin(), v.end(), a.data());
    return Tensor(std::move(a));
  };
  const double l3 = 1.0986122886681098;
  const RecurrentParameters p{column({l3, 0.5, 0.25, -l3}),
                              column({1, 2, 3, 4}),
                              reshape(column({0, -0.5, 0.5, 0}), {4}),
                              reshape(column({0, 0, 0.25, 0}), {4}),
                              {}};
  for (Lstm f : {run_fused, run_composed}) {
    const LstmOutput out = f(Tensor(full({1, 1, 1}, 1)), p, {});
    const double c = 0.75 * std::tanh(1.), h = 0.25 * std::tanh(c);
    CHECK_THAT(double(out.c_n.item()), WithinAbs(c, 1e-6));
    CHECK_THAT(double(out.h_n.item()), WithinAbs(h, 1e-6));
    CHECK_THAT(double(out.output.item()), WithinAbs(h, 1e-6));
    // the second step adds weight_hh . h: i, f, g, o in this order
    const LstmOutput two = f(Tensor(full({2, 1, 1}, 1)), p, {});
    const auto s = [](double v) { return 1 / (1 + std::exp(-v)); };
    const double c2 = s(2 * h) * c + s(l3 + h) * std::tanh(1 + 3 * h),
                 h2 = s(-l3 + 4 * h) * std::tanh(c2);
    CHECK_THAT(double(two.c_n.item()), WithinAbs(c2, 1e-6));
    CHECK_THAT(double(two.h_n.item()), WithinAbs(h2, 1e-6));
  }
}

TEST_CASE("a row's padding changes nothing, gives zeros and gets none", "[lstm]") {
  const Case c{5, 4, 3, 2, {2, 5, 1, 4}};
  const Inputs in = make_inputs(c);
  for (Lstm f : {run_fused, run_composed}) {
    const LstmOutput out = f(in.x, in.directions[0], c.lengths);
    const Array dx = dense(gradients(weigh(out), {in.x})[0]).value();
    for (std::size_t t = 0; t < c.T; ++t) {
      for (std::size_t n = 0; n < c.N; ++n) {
        for (std::size_t j = 0; j < c.H && t >= c.lengths[n]; ++j)
          CHECK(out.output.value()(t, n, j) == 0);
        for (std::size_t d = 0; d < c.D && t >= c.lengths[n]; ++d) CHECK(dx(t, n, d) == 0);
        for (std::size_t d = 0; d < c.D && t < c.lengths[n]; ++d) CHECK(dx(t, n, d) != 0);
      }
    }
    // each row alone, at its own length
    for (std::size_t n = 0; n < c.N; ++n) {
      const LstmOutput alone =
          f(slice(slice(in.x, 1, n, n + 1), 0, 0, c.lengths[n]), in.directions[0], {});
      check_equal("h_n", slice(out.h_n, 0, n, n + 1).value(), alone.h_n.value());
      check_equal("c_n", slice(out.c_n, 0, n, n + 1).value(), alone.c_n.value());
      check_equal("output", slice(slice(out.output, 1, n, n + 1), 0, 0, c.lengths[n]).value(),
                  alone.output.value());
    }
    // what stands in the padding is not read, not even NaN
    Array dirty = in.x.value();
    for (std::size_t t = 0; t < c.T; ++t) {
      for (std::size_t n = 0; n < c.N; ++n) {
        for (std::size_t d = 0; d < c.D && t >= c.lengths[n]; ++d)
          dirty(t, n, d) = std::numeric_limits<Real>::quiet_NaN();
      }
    }
    const LstmOutput same = f(Tensor(dirty), in.directions[0], c.lengths);
    CHECK(same.output.value() == out.output.value());
    CHECK(same.h_n.value() == out.h_n.value());
    CHECK(same.c_n.value() == out.c_n.value());
  }
}

TEST_CASE("NaN in the padding of a fused lstm reaches no gradient", "[lstm]") {
  for (const Lengths& lengths : {Lengths{3, 1}, Lengths{1, 3}}) {
    Case c{3, 2, 3, 2, lengths};
    c.both_ways = true;
    Inputs in = make_inputs(c);
    for (std::size_t t = 0; t < c.T; ++t) {
      for (std::size_t n = 0; n < c.N; ++n) {
        for (std::size_t d = 0; d < c.D && t >= lengths[n]; ++d)
          in.x.mutable_value()(t, n, d) = std::numeric_limits<Real>::quiet_NaN();
      }
    }
    for (const Gradient& g : gradients(weigh(lstm(in.x, in.directions, lengths)), in.all())) {
      for (Real v : dense(g).value()) CHECK(std::isfinite(v));
    }
  }
}

TEST_CASE("a fused lstm leaves nothing unwritten where rows have ended", "[lstm]") {
  Case c{40, 3, 5, 4, {}};
  for (bool both_ways : {false, true}) {
    c.both_ways = both_ways;
    const Inputs in = make_inputs(c);
    // the blocks that this frees are full of NaN, and their sizes are those that the next one needs
    Inputs nan = make_inputs(c);
    nan.x.mutable_value().fill(std::numeric_limits<Real>::quiet_NaN());
    gradients(weigh(lstm(nan.x, in.directions, {40, 40, 40})), {nan.x});
    for (const Gradient& d : gradients(weigh(lstm(in.x, in.directions, {1, 3, 40})), in.all())) {
      for (Real v : dense(d).value()) CHECK(std::isfinite(v));
    }
  }
}

TEST_CASE("an lstm differentiates only what asks for it", "[lstm]") {
  const Case c{3, 2, 2, 2, {3, 1}};
  Inputs in = make_inputs(c);
  in.x.set_requires_grad(false);
  backward(weigh(lstm(in.x, in.directions, c.lengths)));
  CHECK(std::holds_alternative<std::monostate>(in.x.grad()));
  CHECK(std::holds_alternative<Tensor>(in.directions[0].weight_ih.grad()));
  Inputs frozen = make_inputs(c);
  for (Tensor t : {frozen.directions[0].weight_ih, frozen.directions[0].weight_hh,
                   frozen.directions[0].bias_ih, frozen.directions[0].bias_hh})
    t.set_requires_grad(false);
  backward(weigh(lstm(frozen.x, frozen.directions, c.lengths)));
  CHECK(std::holds_alternative<Tensor>(frozen.x.grad()));
  CHECK(std::holds_alternative<std::monostate>(frozen.directions[0].weight_hh.grad()));
  for (Tensor t : {frozen.directions[0].weight_ih, frozen.directions[0].weight_hh,
                   frozen.directions[0].bias_ih, frozen.directions[0].bias_hh})
    t.set_requires_grad(true);
}

TEST_CASE("an lstm of which one output is read", "[lstm]") {
  const Case c{3, 2, 2, 3, {1, 3}, true, true, true, true};
  const Inputs in = make_inputs(c);
  for (Tensor LstmOutput::*output : {&LstmOutput::output, &LstmOutput::h_n, &LstmOutput::c_n}) {
    for (bool create_graph : {false, true}) {
      const auto d = [&](const LstmOutput& out) {
        return gradients(sum(out.*output), in.all(), create_graph);
      };
      const Gradients a = d(lstm(in.x, in.directions, c.lengths, in.h_0, in.c_0)),
                      b = d(lstm_composed(in.x, in.directions, c.lengths, in.h_0, in.c_0));
      for (std::size_t i = 0; i < a.size(); ++i)
        check_equal("gradient", dense(a[i]).value(), dense(b[i]).value());
    }
  }
}

TEST_CASE("second derivatives through the fused lstm are its twin's", "[lstm]") {
  const Case c{4, 3, 2, 3, {4, 1, 2}};
  const auto curvature = [&](Lstm f) {
    const Inputs in = make_inputs(c);
    const Tensor y = weigh(f(in.x, in.directions[0], c.lengths));
    Tensor total(full({}, 0));
    for (const Gradient& g : gradients(y, in.all(), true)) total = total + sum(dense(g) * dense(g));
    Gradients second = gradients(total, in.all());
    std::vector<Array> values;
    for (const Gradient& g : second) values.push_back(dense(g).value());
    return values;
  };
  const std::size_t before = live_nodes();
  const std::vector<Array> a = curvature(run_fused), b = curvature(run_composed);
  for (std::size_t i = 0; i < a.size(); ++i)
    check_equal("second derivative", a[i], b[i], 10 * kTolerance);
  CHECK(live_nodes() == before);
}

TEST_CASE("the same lstm twice in one graph: weights add up", "[lstm]") {
  const Case c{3, 2, 2, 2, {}};
  const auto stacked = [&](Lstm f) {
    const Inputs in = make_inputs(c);  // D = H: the output can go through again
    std::vector<Array> values;
    for (const Gradient& g :
         gradients(weigh(f(f(in.x, in.directions[0], {}).output, in.directions[0], {})), in.all()))
      values.push_back(dense(g).value());
    return values;
  };
  const std::vector<Array> a = stacked(run_fused), b = stacked(run_composed);
  for (std::size_t i = 0; i < a.size(); ++i) check_equal("gradient", a[i], b[i]);
}

TEST_CASE("the graph behind a fused lstm can be walked again where it was retained", "[lstm]") {
  Case c{4, 3, 2, 2, {4, 1, 3}};
  c.both_ways = true;
  const Inputs in = make_inputs(c);
  const Tensor loss = weigh(lstm(in.x, in.directions, c.lengths));
  const Gradients once = gradients(loss, in.all(), false, /*retain_graph=*/true),
                  again = gradients(loss, in.all());
  for (std::size_t i = 0; i < once.size(); ++i)
    CHECK((dense(once[i]).value() == dense(again[i]).value()));
}

TEST_CASE("a walk that was refused leaves nothing for the next one", "[lstm]") {
  for (const bool both_ways : {false, true}) {
    Case c{4, 3, 2, 2, {}};
    c.both_ways = both_ways;
    Inputs in = make_inputs(c);
    const Tensor loss = weigh(lstm(in.x, in.directions, c.lengths));
    gradients(loss, in.all(), false, /*retain_graph=*/true);
    in.directions.back().bias_ih.mutable_value() += 1;
    CHECK_THROWS_AS(gradients(loss, in.all(), false, true), std::logic_error);
    CHECK_THROWS_AS(gradients(loss, in.all(), false, true), std::logic_error);
  }
}

TEST_CASE("the texts of the lstm's errors", "[lstm]") {
  const Inputs in = make_inputs({3, 2, 2, 2, {}});
  const RecurrentParameters& p = in.directions[0];
  const auto zeros = [](const Shape& shape) { return Tensor(full(shape, 0)); };
  for (Lstm f : {run_fused, run_composed}) {
    CHECK(
        invalid([&] {
          f(in.x, p, {0, 3});
        }) ==
        "lstm: lengths must be from 1 to T = 3 for values [T, N, D] = [3, 2, 2], got 0 for row 0");
    CHECK(
        invalid([&] {
          f(in.x, p, {3, 4});
        }) ==
        "lstm: lengths must be from 1 to T = 3 for values [T, N, D] = [3, 2, 2], got 4 for row 1");
    CHECK(invalid([&] { f(in.x, p, {3}); }) ==
          "lstm: needs N = 2 lengths for values [T, N, D] = [3, 2, 2], got 1");
    CHECK(invalid([&] {
            f(zeros({2, 2}), p, {});
          }) == "lstm: the input must be [T, N, D] with T > 0, got [2, 2]");
    CHECK(invalid([&] {
            f(zeros({0, 2, 2}), p, {});
          }) == "lstm: the input must be [T, N, D] with T > 0, got [0, 2, 2]");
    CHECK(invalid([&] {
            f(zeros({1, 2, 3}), p, {});
          }) == "lstm: weight_ih must be [8, 3] for an input [1, 2, 3], got [8, 2]");
    CHECK(invalid([&] {
            f(in.x, {p.weight_ih, zeros({8}), p.bias_ih, p.bias_hh, {}}, {});
          }) == "lstm: weight_hh must be [4H, H] with H > 0, got [8]");
    CHECK(invalid([&] {
            f(in.x, {p.weight_ih, zeros({8, 3}), p.bias_ih, p.bias_hh, {}}, {});
          }) == "lstm: weight_hh must be [4H, H] with H > 0, got [8, 3]");
    CHECK(invalid([&] {
            f(in.x, {zeros({0, 2}), zeros({0, 0}), {}, {}, {}}, {});
          }) == "lstm: weight_hh must be [4H, H] with H > 0, got [0, 0]");
    CHECK(invalid([&] {
            f(in.x, {p.weight_ih, {}, {}, {}, {}}, {});
          }) == "lstm: needs weight_ih and weight_hh");
    CHECK(invalid([&] {
            f(in.x, {p.weight_ih, p.weight_hh, zeros({2}), p.bias_hh, {}}, {});
          }) == "lstm: bias_ih must be [8], got [2]");
    CHECK(invalid([&] {
            f(in.x, {p.weight_ih, p.weight_hh, p.bias_ih, zeros({8, 1}), {}}, {});
          }) == "lstm: bias_hh must be [8], got [8, 1]");
  }
  for (auto f : {lstm, lstm_composed}) {
    CHECK(invalid([&] {
            f(in.x, {p}, {}, zeros({2, 3}), {});
          }) == "lstm: h_0 must be [2, 2], got [2, 3]");
    CHECK(invalid([&] {
            f(in.x, {p}, {}, {}, zeros({1, 2}));
          }) == "lstm: c_0 must be [2, 2], got [1, 2]");
  }
  const RecurrentParameters projected{p.weight_ih, zeros({8, 1}), p.bias_ih, p.bias_hh,
                                      zeros({1, 2})};
  CHECK(invalid([&] { lstm(in.x, {projected}); }) ==
        "lstm: the fused op has no weight_hr; use lstm_composed");
  RecurrentParameters bad = projected;
  bad.weight_hr = zeros({2, 2});
  CHECK(invalid([&] { lstm_composed(in.x, {bad}); }) ==
        "lstm: weight_hr must be [1, 2], got [2, 2]");
  bad.weight_hr = zeros({2});
  CHECK(invalid([&] { lstm_composed(in.x, {bad}); }) == "lstm: weight_hr must be [R, H], got [2]");
}
