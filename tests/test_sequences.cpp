// Convolution and pooling over time: values worked out by hand, padding, and what they refuse. More
// values are compared with PyTorch's in test_pytorch.cpp, derivatives in test_ops.cpp.
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

// 0, 1, 2, ...
Tensor count(const Shape& shape) {
  Array a = empty(shape);
  for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = static_cast<Real>(i);
  return Tensor(std::move(a), true);
}

using Pool = Tensor (*)(const Sequences&);
const Pool kPools[] = {mean_pool, max_pool, last};

}  // namespace

// ---- convolution ----
TEST_CASE("unfold lays windows one below the other, fold adds them up", "[conv]") {
  const Tensor x = count({1, 2, 4});  // 0 1 2 3 and 4 5 6 7
  CHECK((unfold(x, 2).value() == Array{{{0, 1, 4, 5}, {1, 2, 5, 6}, {2, 3, 6, 7}}}));
  CHECK((unfold(x, 2, 2).value() == Array{{{0, 1, 4, 5}, {2, 3, 6, 7}}}));
  CHECK((unfold(x, 2, 1, 2).value() == Array{{{0, 2, 4, 6}, {1, 3, 5, 7}}}));
  CHECK((fold(unfold(x, 2), 4, 2).value() == Array{{{0, 2, 4, 3}, {4, 10, 12, 7}}}));
}

TEST_CASE("conv1d slides a kernel over each row", "[conv]") {
  const Tensor x(Array{{{1, 2, 3, 4}}}), weight(Array{{{1, 10}}}), bias(Array{100});
  CHECK((conv1d(x, weight, {}).value() == Array{{{21, 32, 43}}}));
  CHECK((conv1d(x, weight, bias).value() == Array{{{121, 132, 143}}}));
  CHECK((conv1d(x, weight, {}, 2).value() == Array{{{21, 43}}}));
  CHECK((conv1d(x, weight, {}, 1, 1).value() == Array{{{10, 21, 32, 43, 4}}}));
  CHECK((conv1d(x, weight, {}, 1, 0, 2).value() == Array{{{31, 42}}}));
}

TEST_CASE("conv1d is one product with the unfolded windows", "[conv][twin]") {
  struct Case {
    std::size_t N, C, L, out, K, stride, padding, dilation;
  };
  // short sequences, joined; long ones; strides with columns that no window reads; one window
  for (const Case& c :
       {Case{3, 4, 9, 5, 3, 1, 0, 1}, Case{2, 3, 9, 2, 2, 1, 2, 4}, Case{2, 3, 9, 2, 2, 1, 0, 6},
        Case{2, 16, 70, 20, 3, 1, 1, 2}, Case{3, 4, 9, 5, 3, 2, 0, 1},
        Case{2, 4, 11, 5, 2, 3, 2, 5}, Case{2, 3, 10, 2, 4, 5, 1, 1}, Case{2, 3, 7, 2, 1, 4, 0, 1},
        Case{2, 3, 4, 2, 2, 9, 1, 1}, Case{1, 3, 8, 2, 3, 2, 0, 1}}) {
    INFO(message(Shape{c.N, c.C, c.L}, " to ", c.out, ", kernel ", c.K, ", stride ", c.stride,
                 ", padding ", c.padding, ", dilation ", c.dilation));
    Generator g(1);
    const auto random = [&g](const Shape& shape) { return Tensor(normal(shape, g), true); };
    const Tensor x = random({c.N, c.C, c.L}), w = random({c.out, c.C, c.K}), b = random({c.out});
    const auto run = [&](const Tensor& y, const Tensor& slope) {
      for (Tensor t : {x, w, b}) t.zero_grad();
      backward(sum(y * slope));
      return Tensors{y, dense(x.grad()), dense(w.grad()), dense(b.grad())};
    };
    const Tensor windows = unfold(pad(x, 2, c.padding, c.padding), c.K, c.stride, c.dilation),
                 product = transpose(linear(windows, reshape(w, {c.out, c.C * c.K}), b), 1, 2),
                 slope(normal(product.shape(), g));
    const Tensors twin = run(product, slope);
    const Tensors fast = run(conv1d(x, w, b, c.stride, c.padding, c.dilation), slope);
    for (std::size_t i = 0; i < twin.size(); ++i) {
      REQUIRE(fast[i].shape() == twin[i].shape());
      CHECK(max(abs(fast[i] - twin[i])).item() <=
            50 * std::numeric_limits<Real>::epsilon() * max(abs(twin[i])).item());
    }
  }
}

TEST_CASE("Conv1d has PyTorch's names, shapes and initial distribution", "[conv]") {
  Generator g(1);
  Conv1d conv(5, 80, 5, g);
  const StateDict state = conv.state_dict();
  REQUIRE(state.size() == 2);
  CHECK(state[0].first == "weight");
  CHECK(state[0].second.shape() == Shape{80, 5, 5});
  CHECK(state[1].first == "bias");
  CHECK(state[1].second.shape() == Shape{80});
  for (const auto& [name, p] : state) {  // U(-0.2, 0.2)
    INFO(name);
    const Real greatest = max(abs(p)).item();
    CHECK(greatest <= Real(0.2));
    CHECK(greatest > Real(0.19));
    CHECK_THAT(double(mean(p * p).item()), WithinRel(0.04 / 3, 0.3));
  }
  Conv1dOptions options;
  options.bias = false;
  CHECK(Conv1d(5, 8, 5, g, options).parameters().size() == 1);
}

TEST_CASE("what convolutions refuse, and their words", "[conv]") {
  const Tensor x = count({2, 3, 4}), weight = count({5, 3, 2});
  CHECK(error_of([&] {
          conv1d(count({3, 4}), weight, {});
        }) == "conv1d: needs x [N, C, L] and a weight [out, C, K], got [3, 4] and [5, 3, 2]");
  CHECK(error_of([&] {
          conv1d(count({2, 3}), weight, {});
        }) == "conv1d: needs x [N, C, L] and a weight [out, C, K], got [2, 3] and [5, 3, 2]");
  CHECK(error_of([&] {
          conv1d(x, count({5, 3, 2, 1}), {});
        }) == "conv1d: needs x [N, C, L] and a weight [out, C, K], got [2, 3, 4] and [5, 3, 2, 1]");
  CHECK(error_of([&] {
          conv1d(count({2, 4, 3}), weight, {});
        }) == "conv1d: needs x [N, C, L] and a weight [out, C, K], got [2, 4, 3] and [5, 3, 2]");
  CHECK(error_of([&] { conv1d(x, weight, count({3})); }) ==
        "conv1d: the bias must be [5], got [3]");
  CHECK(error_of([&] { conv1d(x, weight, {}, 1, 1, 6); }) ==
        "conv1d: a window spans 7 steps, got 6; pad more");
  CHECK(error_of([&] { conv1d(x, weight, {}, 0); }) ==
        "conv1d: kernel_size, stride and dilation must be positive, got 2, 0 and 1");
  CHECK(error_of([&] { conv1d(x, weight, {}, 1, 0, 0); }) ==
        "conv1d: kernel_size, stride and dilation must be positive, got 2, 1 and 0");
  // sizes of y that wrap around to small ones are too many, not few
  CHECK_THROWS(conv1d(zeros({8, 1, 1}), zeros({8, 1, 2}), {}, 1,
                      (std::size_t{1} << 60) + (std::size_t{1} << 57), std::size_t{1} << 58));
  CHECK(error_of([&] { unfold(x, 0); }) ==
        "unfold: kernel_size, stride and dilation must be positive, got 0, 1 and 1");
  CHECK(error_of([&] { unfold(count({3, 4}), 2); }) == "unfold: needs x [N, C, L], got [3, 4]");
  CHECK(error_of([&] { unfold(x, 5); }) == "unfold: a window spans 5 steps, got 4; pad more");
  CHECK(error_of([&] {
          fold(count({1, 3, 3}), 4, 2);
        }) == "fold: needs windows [N, 3, C*2], got [1, 3, 3]");
  CHECK(error_of([&] {
          fold(count({1, 3, 2, 2}), 4, 2);
        }) == "fold: needs windows [N, 3, C*2], got [1, 3, 2, 2]");
  CHECK(error_of([&] {
          fold(count({1, 2, 4}), 4, 2);
        }) == "fold: needs windows [N, 3, C*2], got [1, 2, 4]");
}

TEST_CASE("sizes that wrap around are refused", "[conv]") {
  const Tensor x = count({2, 3, 4}), weight = count({5, 3, 2});
  const std::size_t minus_one = std::size_t(-1), large = std::size_t{1} << 62;
  const std::string positive = ": kernel_size, stride and dilation must be positive, got ";
  CHECK(error_of([&] { conv1d(x, weight, {}, 1, 0, minus_one); }) ==
        "conv1d" + positive + "2, 1 and -1");
  CHECK(error_of([&] { conv1d(x, weight, {}, minus_one); }) == "conv1d" + positive + "2, -1 and 1");
  CHECK(error_of([&] { unfold(x, minus_one); }) == "unfold" + positive + "-1, 1 and 1");
  CHECK(error_of([&] {
          fold(count({2, 3, 6}), 4, 2, 1, minus_one);
        }) == "fold" + positive + "2, 1 and -1");
  CHECK(error_of([&] { conv1d(x, weight, {}, 1, minus_one); }) ==
        "conv1d: sizes must not overflow, got 2 * 18446744073709551615 + 4; was one of them "
        "negative?");
  CHECK(error_of([&] { unfold(x, 5, 1, large); }) ==
        "unfold: sizes must not overflow, got 4 * 4611686018427387904 + 1; was one of them "
        "negative?");
  CHECK(error_of([&] { unfold(x, large, 1, 5); }) ==
        "unfold: sizes must not overflow, got 4611686018427387903 * 5 + 1; was one of them "
        "negative?");
  CHECK_THROWS(fold(count({1, 1, 2}), minus_one, 2, large));
  CHECK_THROWS(fold(count({1, 4, 2}), minus_one, 2, large));  // the number of windows that fit
}

TEST_CASE("convolutions of random sizes agree with their formula", "[conv]") {
  Generator g(5);
  for (int round = 0; round < 60; ++round) {
    const std::size_t N = 1 + g.below(3), C = 1 + g.below(4), K = 1 + g.below(4),
                      out = 1 + g.below(5), stride = 1 + g.below(3), dilation = 1 + g.below(3),
                      padding = g.below(4), L = (K - 1) * dilation + 1 + g.below(80);
    const Tensor x(normal({N, C, L}, g)), weight(normal({out, C, K}, g)), bias(normal({out}, g));
    const Tensor y = conv1d(x, weight, bias, stride, padding, dilation);
    const std::size_t L_out = (L + 2 * padding - (K - 1) * dilation - 1) / stride + 1;
    INFO(message(x.shape(), weight.shape(), ' ', stride, ' ', padding, ' ', dilation));
    REQUIRE(y.shape() == Shape{N, out, L_out});
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t n = i / L_out / out, o = i / L_out % out, l = i % L_out;
      double expected = double(bias.value()(o));
      for (std::size_t ck = 0; ck < C * K; ++ck) {
        const std::size_t at = l * stride + ck % K * dilation;  // in x with its padding
        if (at < padding || at >= L + padding) continue;
        expected +=
            double(weight.value()(o, ck / K, ck % K)) * double(x.value()(n, ck / K, at - padding));
      }
      REQUIRE_THAT(double(y.value().data()[i]),
                   WithinAbs(expected, sizeof(Real) == 4 ? 2e-5 : 1e-12));
    }
  }
}

// ---- pooling ----
TEST_CASE("pooling gives a vector for each sequence", "[pooling]") {
  const Tensor x(Array{
      {{1, -1}, {5, 6}}, {{3, -3}, {7, 8}}, {{8, 8}, {9, 1}}, {{8, 8}, {3, 5}}});  // [4, 2, 2]
  const std::vector<std::size_t> lengths{2, 4};
  CHECK((mean_pool({x, lengths}).value() == Array{{2, -2}, {6, 5}}));
  CHECK((max_pool({x, lengths}).value() == Array{{3, -1}, {9, 8}}));
  CHECK((last({x, lengths}).value() == Array{{3, -3}, {3, 5}}));
}

TEST_CASE("what stands in the padding counts for nothing", "[pooling]") {
  Generator g(2);
  const std::vector<std::size_t> lengths{2, 4, 1};
  const Array values = normal({4, 3, 2}, g);
  for (Pool pool : kPools) {
    Array other = values;
    std::vector<bool> padding(other.size());
    for (std::size_t i = 0; i < other.size(); ++i) {
      padding[i] = i / 6 >= lengths[i / 2 % 3];
      if (padding[i]) other.data()[i] = std::numeric_limits<Real>::quiet_NaN();
    }
    const Tensor x(other, true), y = pool({x, lengths});
    CHECK((y.value() == pool({Tensor(values), lengths}).value()));
    backward(sum(y * y));
    const Array dx = dense(x.grad()).value();
    for (std::size_t i = 0; i < dx.size(); ++i) {
      INFO("element " << i);
      if (padding[i]) CHECK(dx.data()[i] == 0);
      if (!padding[i]) CHECK(std::isfinite(dx.data()[i]));
    }
    CHECK(norm(x.grad()) > 0);
  }
}

// a batch without its lengths is refused when the program is compiled
static_assert(std::is_invocable_v<decltype(mean_pool), const Sequences&>);
static_assert(!std::is_invocable_v<decltype(mean_pool), const Tensor&>);
static_assert(!std::is_invocable_v<decltype(max_pool), const Tensor&>);
static_assert(!std::is_invocable_v<decltype(last), const Tensor&>);

TEST_CASE("what pooling refuses, and its words", "[pooling]") {
  const Tensor x = count({3, 2, 2});
  CHECK(error_of([&] {
          mean_pool({x, {1, 2, 3}});
        }) == "mean_pool: needs N = 2 lengths for values [T, N, D] = [3, 2, 2], got 3");
  CHECK(error_of([&] {
          max_pool({count({3, 2}), {1, 2}});
        }) == "max_pool: the values must be [T, N, D], got [3, 2]");
  CHECK(error_of([&] {
          last({x, {1, 0}});
        }) ==
        "last: lengths must be from 1 to T = 3 for values [T, N, D] = [3, 2, 2], got 0 for row 1");
  CHECK(error_of([&] {
          last({x, {4, 1}});
        }) ==
        "last: lengths must be from 1 to T = 3 for values [T, N, D] = [3, 2, 2], got 4 for row 0");
}

#ifdef GRADWALK_DOUBLE
TEST_CASE("convolution and pooling agree with finite differences to second order", "[pooling]") {
  Generator g(3);
  const Tensor x(normal({4, 3, 2}, g), true);
  for (Pool pool : kPools) {
    CHECK_NOTHROW(check_gradients([&] { return pool({x, {2, 4, 1}}); }, {x}));
    CHECK_NOTHROW(check_gradients([&] { return pool({x * x, {4, 4, 4}}); }, {x}));
  }
  const Conv1d conv(3, 2, 2, g);
  Tensors leaves = conv.parameters();
  leaves.push_back(x);
  CHECK_NOTHROW(check_gradients([&] { return conv(x) * conv(x); }, leaves));
}
#endif

// ---- docs/sequences.md ----
TEST_CASE("the snippets of the page on sequences", "[docs]") {
  Generator generator(1);
  const IdSequences batch{Indices{{4, 2}, {7, 9}, {0, 5}}, {2, 3}};  // "4 7" and "2 9 5"
  const Embedding embedding(10, 4, generator);
  const Sequences words{embedding(batch.ids), batch.lengths};  // values [3, 2, 4]
  const Tensor average = mean_pool(words);                     // [2, 4]
  const Tensor greatest = max_pool(words);
  const Tensor final = last(words);
  Conv1dOptions options;
  options.padding = 1;  // with kernels of 3 every word keeps its place
  const Conv1d conv(4, 6, 3, generator, options);
  const Tensor features = relu(conv(permute(words.values, {1, 2, 0})));             // [2, 6, 3]
  const Tensor sentence = max_pool({permute(features, {2, 0, 1}), words.lengths});  // [2, 6]
  Sequential head;
  head.append<Linear>(6, 8, generator).append<ReLU>().append<Linear>(8, 2, generator);
  const Tensor logits = head(sentence);  // [2, 2]
  CHECK(average.shape() == Shape{2, 4});
  CHECK(greatest.shape() == Shape{2, 4});
  CHECK(final.shape() == Shape{2, 4});
  CHECK(sentence.shape() == Shape{2, 6});
  CHECK(logits.shape() == Shape{2, 2});
}
