// Fused ops beside their readable twins, and the walks over arrays by several threads.
#include "core/autograd.hpp"
#include "core/core.hpp"
#include "core/gradcheck.hpp"
#include "core/machine/threads.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

constexpr double kTolerance = sizeof(Real) == 4 ? 1e-4 : 1e-11;

void require_close(const Array& a, const Array& b) {
  REQUIRE(a.shape() == b.shape());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double u = double{a.data()[i]}, v = double{b.data()[i]};
    INFO("at " << i << ": " << u << " and " << v);
    REQUIRE(std::abs(u - v) <= kTolerance * std::max(1.0, std::abs(v)));
  }
}

using F = std::function<Tensor(const Tensors&)>;

// y and dL/dleaves, where each element of y counts differently
std::vector<Array> values(const F& f, const Tensors& leaves) {
  for (Tensor t : leaves) t.zero_grad();
  const Tensor y = f(leaves);
  Array c = empty(y.shape());
  for (std::size_t i = 0; i < c.size(); ++i) c.data()[i] = Real(0.5) + Real(i % 7) / 4;
  backward(sum(y * Tensor(c)));
  std::vector<Array> all{y.value()};
  for (const Tensor& t : leaves) all.push_back(dense(t.grad()).value());
  return all;
}

// The same values and derivatives, and the fused op's can be differentiated again.
void compare(const F& fused, const F& composed, const Tensors& leaves, bool twice = true) {
  const std::vector<Array> a = values(fused, leaves), b = values(composed, leaves);
  REQUIRE(a.size() == b.size());
  for (std::size_t k = 0; k < a.size(); ++k) {
    INFO("0: y; others: leaves; " << k);
    require_close(a[k], b[k]);
  }
  if (twice) check_gradients([&] { return fused(leaves); }, leaves, GradcheckOptions{2});
}

struct Threads {
  std::size_t before = num_threads();
  ~Threads() { set_num_threads(before); }
};

Tensor leaf(const Shape& shape, Generator& g) { return Tensor(normal(shape, g), true); }

}  // namespace

TEST_CASE("layer_norm is what its twin says", "[twins]") {
  Generator g(1);
  const F fused = [](const Tensors&in) { return layer_norm(in[0], in[1], in[2], Real(1e-5)); },
          composed = [](const Tensors&in) {
            return layer_norm_composed(in[0], in[1], in[2], Real(1e-5));
          };
  for (const auto& [shape, last] :
       {std::pair<Shape, Shape>{{3, 5}, {5}}, {{2, 3, 4}, {3, 4}}, {{2, 3, 17}, {17}}, {{6}, {6}}})
    compare(fused, composed, {leaf(shape, g), leaf(last, g), leaf(last, g)});
  const Threads restore;
  for (const std::size_t threads : {1, 3}) {  // rows enough for parts
    set_num_threads(threads);
    compare(fused, composed, {leaf({900, 128}, g), leaf({128}, g), leaf({128}, g)}, false);
  }
  // a row of equal numbers has no variance, and none of another row's
  const Array flat =
      layer_norm(Tensor(full({2, 4}, 1000)), Tensor(full({4}, 1)), Tensor(full({4}, 2)), Real(1e-5))
          .value();
  CHECK(flat == full({2, 4}, 2));
}

TEST_CASE("gradients of a broadcast product are the same with a graph of their own", "[twins]") {
  Generator g(5);
  const Threads restore;
  for (const std::size_t threads : {1, 3}) {
    set_num_threads(threads);
    for (const Shape& narrow :
         {Shape{129}, {40, 1}, {30, 1, 1}, {1, 40, 1}, {1, 1, 129}, {1}, {}}) {
      INFO(threads << " threads, " << message(narrow));
      const Tensors in{leaf({30, 40, 129}, g), leaf(narrow, g)};
      const Tensor loss = sum(in[0] * in[1] * Tensor(normal({30, 40, 129}, g)));
      const Gradients a = gradients(loss, in, false, true), b = gradients(loss, in, true);
      for (std::size_t k = 0; k < 2; ++k) require_close(dense(a[k]).value(), dense(b[k]).value());
    }
  }
}

TEST_CASE("softmax along any axis is that of the last, whatever stands around it", "[twins]") {
  Generator g(6);
  const Threads restore;
  for (const std::size_t threads : {1, 3}) {
    set_num_threads(threads);
    for (const Shape& shape :
         {Shape{3, 5, 70}, {130, 8, 3}, {2, 40, 129}, {70, 31, 2}, {7, 1, 2}}) {
      for (const auto f : {softmax, log_softmax}) {
        for (const std::size_t axis : {0, 1, 2}) {
          INFO(message(shape) << ", axis " << axis << ", " << threads << " threads");
          compare([&](const Tensors& in) { return f(in[0], axis); },
                  [&](const Tensors& in) {
                    // one row after the other: wide, so that each is computed by itself
                    const Tensor x = transpose(in[0], axis, 2);
                    const std::size_t n = x.shape(2), rows = x.size() / n;
                    Array wide = full({rows, n + 40}, -std::numeric_limits<Real>::infinity());
                    const Tensor padded =
                        concat({reshape(x, {rows, n}), slice(Tensor(wide), 1, n, n + 40)}, 1);
                    const Tensor y = slice(f(padded, 1), 1, 0, n);
                    return transpose(reshape(y, x.shape()), axis, 2);
                  },
                  {leaf(shape, g)}, false);
        }
      }
    }
  }
}

TEST_CASE("rows that do not count give nothing to a loss, whatever they hold", "[twins]") {
  const Real nan = std::numeric_limits<Real>::quiet_NaN();
  CrossEntropyOptions o;
  o.ignore_index = 1;
  o.label_smoothing = 0.1;
  o.reduction = Reduction::kNone;
  Array scores = full({2, 3}, 1);
  for (std::size_t c = 0; c < 3; ++c) scores(1, c) = nan;
  for (const bool create_graph : {false, true}) {
    const Tensor x(scores, true);
    Indices t = full<Indices>({2}, 0);
    t.data()[1] = 1;
    const Tensor loss = softmax_cross_entropy(x, t, o);
    CHECK(loss.value()(1) == 0);
    const Array d = dense(gradients(sum(loss), {x}, create_graph)[0]).value();
    for (std::size_t c = 0; c < 3; ++c) {
      CHECK(std::isfinite(d(0, c)));
      CHECK(d(1, c) == 0);
    }
  }
  // an infinite gradient stays at the target; and a loss of 0 is not -0
  o.label_smoothing = 0;
  const Tensor log_probs(full({2, 3}, -1), true);
  Indices t = full<Indices>({2}, 0);
  t.data()[1] = 1;
  const Array d = dense(gradients(sum(sqrt(nll_loss(log_probs, t, o))), {log_probs})[0]).value();
  for (std::size_t c = 0; c < 3; ++c) CHECK(d(1, c) == 0);
  const Tensor sure(Array{{1000, 0, 0}});
  CHECK_FALSE(std::signbit(softmax_cross_entropy(sure, full<Indices>({1}, 0), o).value()(0)));
}

TEST_CASE("conv1d without windows is conv1d with them", "[twins]") {
  Generator g(2);
  struct Sizes {
    Shape x, w;
    std::size_t padding, dilation;
  };
  const auto check = [&](const Sizes& s, bool twice) {
    const std::size_t out = s.w[0], C = s.w[1], K = s.w[2];
    INFO(message(s.x, s.w) << ", padding " << s.padding << ", dilation " << s.dilation);
    compare(
        [&](const Tensors& in) { return conv1d(in[0], in[1], in[2], 1, s.padding, s.dilation); },
        [&](const Tensors& in) {
          const Tensor windows = unfold(pad(in[0], 2, s.padding, s.padding), K, 1, s.dilation);
          return transpose(linear(windows, reshape(in[1], {out, C * K}), in[2]), 1, 2);
        },
        {leaf(s.x, g), leaf(s.w, g), leaf({out}, g)}, twice);
  };
  for (const Sizes& s : {Sizes{{2, 3, 7}, {4, 3, 3}, 0, 1},
                         {{1, 2, 5}, {3, 2, 5}, 0, 1},  // one window a row
                         {{3, 2, 4}, {2, 2, 1}, 0, 1},
                         {{2, 1, 6}, {1, 1, 4}, 3, 1},
                         {{2, 2, 3}, {2, 2, 3}, 4, 2},  // windows that meet only padding
                         {{1, 2, 1}, {2, 2, 2}, 5, 9}})
    check(s, true);
  const Threads restore;
  for (const std::size_t threads : {1, 3}) {  // products enough for parts
    set_num_threads(threads);
    check({{33, 20, 40}, {67, 20, 3}, 2, 1}, false);
  }
  // NaN in one sequence stays there
  Array x = normal({3, 2, 5}, g);
  for (std::size_t i = 10; i < 20; ++i) x.data()[i] = std::numeric_limits<Real>::quiet_NaN();
  const Array y = conv1d(Tensor(x), Tensor(normal({4, 2, 3}, g)), {}).value();
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y.data()[i]) == (i / 12 == 1));
}

TEST_CASE("gru and rnn are what their twins say", "[twins]") {
  using Op =
      std::function<Unrolled(const Tensor&, const Directions&, const Lengths&, const Tensor&)>;
  struct Twins {
    std::size_t gates;
    Op fused, composed;
  };
  std::vector<Twins> all{{3, gru, gru_composed}};
  for (const Nonlinearity f : {Nonlinearity::kTanh, Nonlinearity::kRelu}) {
    const auto with = [f](auto op) {
      return [=](const Tensor& x, const Directions& directions, const Lengths& lengths,
                 const Tensor& h_0) { return op(x, directions, lengths, h_0, f); };
    };
    all.push_back({1, with(rnn), with(rnn_composed)});
  }
  Generator g(4);
  const auto check = [&](const Twins& op, const Shape& shape, std::size_t H, bool from_zero,
                         bool both_ways, bool twice) {
    const std::size_t T = shape[0], N = shape[1], D = shape[2], G = op.gates * H;
    INFO(op.gates << " gates, " << message(shape) << ", H " << H << ", from zero " << from_zero
                  << ", both ways " << both_ways);
    Tensors leaves{leaf(shape, g)};
    if (!from_zero) leaves.push_back(leaf({N, (both_ways ? 2 : 1) * H}, g));
    for (int d = 0; d < (both_ways ? 2 : 1); ++d) {
      // as layers begin: larger weights would make h a chaos
      for (const Shape& s : {Shape{G, D}, {G, H}, {G}, {G}})
        leaves.push_back(Tensor(uniform_fan_in(s, H, g), true));
    }
    Lengths lengths;
    for (std::size_t n = 0; n < N; ++n) lengths.push_back(1 + g.below(T));
    if (N % 2 == 0) lengths.clear();
    const auto outputs = [=](const Op& run) {
      return [=](const Tensors& in) {
        Directions directions;
        for (std::size_t k = from_zero ? 1 : 2; k < in.size(); k += 4)
          directions.push_back({in[k], in[k + 1], in[k + 2], in[k + 3], {}});
        const Unrolled y = run(in[0], directions, lengths, from_zero ? Tensor() : in[1]);
        const std::size_t rows = T * N;
        return concat({reshape(y.output, {rows, y.output.shape(2)}), y.state[0] * 3}, 0);
      };
    };
    compare(outputs(op.fused), outputs(op.composed), leaves, twice);
  };
  for (const Twins& op : all) {
    for (int round = 0; round < 24; ++round)
      check(op, {1 + g.below(6), 1 + g.below(5), 1 + g.below(4)}, 1 + g.below(8), round % 3 == 0,
            round % 4 < 2, round < 3 && sizeof(Real) == 8);
    const Threads restore;
    for (const std::size_t threads : {1, 3}) {  // enough for parts
      set_num_threads(threads);
      check(op, {9, 33, 20}, 67, false, threads == 3, false);
    }
  }
}

TEST_CASE("any number of threads walks over an array to the same bits", "[twins]") {
  Generator g(3);
  const Tensors in{leaf({30, 40, 129}, g), leaf({40, 1}, g), leaf({129}, g)};
  std::vector<F> fs{
      [](const Tensors& x) { return x[0] * x[1] + x[2]; },
      [](const Tensors& x) { return (x[0] - x[2]) / exp(x[1]); },
      [](const Tensors& x) { return where(x[1], x[0], x[2]); },
      [](const Tensors& x) {
        return broadcast_to(x[1], {900, 40, 2});
      },
      [](const Tensors& x) {
        return concat({x[0], x[0] * 2}, 1);
      },
      [](const Tensors& x) { return softmax(x[0], 1); },
      [](const Tensors& x) {
        return softmax_cross_entropy(reshape(x[0], {1200, 129}), full<Indices>({1200}, 7));
      }};
  for (const Axes& axes : {Axes{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}}) {
    fs.push_back([=](const Tensors& x) { return sum(x[0], axes); });
    fs.push_back([=](const Tensors& x) { return max(x[0], axes); });
  }
  for (const Axes& axes : {Axes{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}})
    fs.push_back([=](const Tensors& x) { return permute(x[0], axes); });
  const Threads restore;
  for (std::size_t k = 0; k < fs.size(); ++k) {
    INFO("f " << k);
    set_num_threads(1);
    const auto run = [&] {
      const Tensor y = fs[k](in);
      std::vector<Array> all{y.value()};
      const Tensor c(y.value());
      for (const Gradient& d : gradients(sum(y * c), in)) {
        if (d.index() != 0) all.push_back(dense(d).value());
      }
      return all;
    };
    const std::vector<Array> one = run();
    for (const std::size_t threads : {2, 5}) {
      set_num_threads(threads);
      REQUIRE(run() == one);
    }
  }
}
