// docs/mistakes.md: each mistake is made here, shows its symptom, and is cured. A test has the name
// of its heading there.
#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

double number(const Gradient& g) { return double(dense(g).value().data()[0]); }

// w = 1 after steps of SGD on w^2 / 2
double descend(double lr, int steps, bool zero) {
  const Tensor w(full({}, 1), true);
  SGD sgd({w}, {lr});
  for (int t = 0; t < steps; ++t) {
    if (zero) sgd.zero_grad();
    backward(w * w * Real(0.5));
    sgd.step();
  }
  return double(w.item());
}

}  // namespace

TEST_CASE("zero_grad is forgotten", "[mistakes]") {
  CHECK_THAT(descend(0.1, 2, true), WithinAbs(0.81, 1e-6));
  CHECK_THAT(descend(0.1, 2, false), WithinAbs(0.71, 1e-6));
  CHECK(std::abs(descend(0.1, 50, true)) < 0.01);
  double furthest = 0;  // it swings through the minimum and never settles
  for (int steps = 40; steps < 60; ++steps)
    furthest = std::max(furthest, std::abs(descend(0.1, steps, false)));
  CHECK(furthest > 0.9);
}

TEST_CASE("eval is forgotten", "[mistakes]") {
  Generator generator(1);
  Sequential model;
  model.append<Linear>(8, 8, generator).append<Dropout>(0.5, generator);
  const Tensor x(normal({1, 8}, generator));
  CHECK_FALSE((model(x).value() == model(x).value()));
  model.eval();
  CHECK((model(x).value() == model(x).value()));
}

TEST_CASE("ids are the wrong way round", "[mistakes]") {
  Generator generator(1);
  const Embedding embedding(10, 4, generator);
  const LSTM lstm(4, 8, generator);
  const Linear head(8, 2, generator);
  const Indices targets{0, 1};
  const Indices wrong{{3, 7, 5}, {7, 3, 5}}, right{{3, 7}, {7, 3}, {5, 5}};  // two sentences
  const auto loss = [&](const Indices& ids) {
    return softmax_cross_entropy(head(lstm(embedding(ids)).last), targets);
  };
  CHECK(lstm(embedding(wrong)).last.shape() == Shape{3, 8});
  CHECK(error_of<std::invalid_argument>([&] { loss(wrong); }) ==
        "softmax_cross_entropy: needs scores [N, C] and targets [N], got [3, 2] and [2]");
  CHECK_NOTHROW(loss(right));
  // Two sentences of two words: no shape gives it away.
  CHECK(loss(Indices{{3, 7}, {5, 5}}).item() != loss(Indices{{3, 5}, {7, 5}}).item());
}

TEST_CASE("a rule owns its output", "[mistakes]") {
  const std::size_t before = live_nodes();
  const auto self = std::make_shared<Tensor>();
  {
    const Tensor x({1, 2}, true);
    *self = record("mine", {x}, Array(x.value()),
                   [self](const Tensor&, const Tensor& dy) -> Gradients { return {dy * *self}; });
  }
  CHECK(live_nodes() - before == 2);  // nobody can reach x and y, but they own each other
  *self = Tensor();
  CHECK(live_nodes() == before);
  {
    const Tensor x({1, 2}, true);
    record("mine", {x}, Array(x.value()),
           [](const Tensor& y, const Tensor& dy) -> Gradients { return {dy * y}; });
  }
  CHECK(live_nodes() == before);
}

TEST_CASE("NoGrad has no name", "[mistakes]") {
  static_cast<void>(NoGrad());  // without the cast the compiler warns: it is [[nodiscard]]
  CHECK(grad_enabled());
  const NoGrad guard;
  CHECK_FALSE(grad_enabled());
}

TEST_CASE("a column minus a list is a matrix", "[mistakes]") {
  const Tensor targets({1, 2, 3, 4}), predicted(reshape(targets, {4, 1}));  // all right
  CHECK((predicted - targets).shape() == Shape{4, 4});
  CHECK(mean(pow(predicted - targets, 2)).item() == Real(2.5));  // and yet a loss
  CHECK(error_of<std::invalid_argument>([&] { mse_loss(predicted, targets); }) ==
        "mse_loss: shapes must be equal, got [4, 1] and [4]");
  CHECK(mse_loss(squeeze(predicted, 1), targets).item() == 0);
}

TEST_CASE("auto holds an expression", "[mistakes]") {
  Tensor x({1, 2});
  const auto lazy = x.value() + 1;
  const Array fixed = x.value() + 1;
  x.mutable_value() *= 10;
  CHECK((Array(lazy) == Array{11, 21}));
  CHECK((fixed == Array{2, 3}));
}

TEST_CASE("the learning rate is 100 times too large", "[mistakes]") {
  CHECK(std::abs(descend(0.1, 20, true)) < 0.13);
  CHECK(std::abs(descend(10, 20, true)) > 1e18);  // each step multiplies w by 1 - 10
}

TEST_CASE("the loss is a sum where a mean was meant", "[mistakes]") {
  const auto slope = [](Reduction reduction, std::size_t n) {
    const Tensor w(full({1}, 1), true);
    backward(mse_loss(broadcast_to(w, {n}), zeros({n}), reduction));
    return number(w.grad());
  };
  CHECK_THAT(slope(Reduction::kMean, 10), WithinRel(slope(Reduction::kMean, 1000), 1e-5));
  CHECK_THAT(slope(Reduction::kSum, 1000) / slope(Reduction::kSum, 10), WithinRel(100, 1e-5));
}

TEST_CASE("softmax comes before softmax_cross_entropy", "[mistakes]") {
  const Tensor certain({{20, -20}});  // and right
  CHECK(softmax_cross_entropy(certain, {0}).item() < Real(1e-8));
  CHECK_THAT(double(softmax_cross_entropy(softmax(certain, 1), {0}).item()),
             WithinAbs(std::log(1 + std::exp(-1.)), 1e-6));  // as low as it goes
}

TEST_CASE("the padding row learns", "[mistakes]") {
  const auto moved = [](std::optional<std::int64_t> padding_idx) {
    Generator generator(1);
    EmbeddingOptions options;
    options.padding_idx = padding_idx;
    const Embedding embedding(4, 2, generator, options);
    SGD sgd(embedding.parameters(), {0.1});
    const Array before = embedding.weight().value();
    backward(sum(embedding(Indices{{3, 2}, {1, 0}})));  // the second column is a word shorter
    sgd.step();
    return embedding.weight().value()(0, 0) != before(0, 0);
  };
  CHECK(moved({}));
  CHECK_FALSE(moved(0));
}

TEST_CASE("the table is frozen", "[mistakes]") {
  Generator generator(1);
  const Array vectors = normal({5, 3}, generator);
  const Embedding frozen = Embedding::from_pretrained(vectors);
  CHECK(error_of<std::logic_error>([&] {
          backward(sum(frozen(Indices{1, 2})));
        }) == "backward: the loss depends on no tensor that requires a gradient");
  CHECK_THROWS_AS(SGD(frozen.parameters()), std::invalid_argument);
  const Embedding tuned = Embedding::from_pretrained(vectors, /*freeze=*/false);
  CHECK_NOTHROW(backward(sum(tuned(Indices{1, 2}))));
}

TEST_CASE("grad is asked of an intermediate", "[mistakes]") {
  const Tensor a({1, 2}, true), b = a * 2, loss = sum(b);
  CHECK(error_of<std::logic_error>([&] { b.grad(); }) ==
        "grad: only leaves keep a gradient, this is the output of 'scale'; use detach() or "
        "gradients()");
  CHECK((dense(gradients(loss, {b})[0]).value() == Array{1, 1}));
}

TEST_CASE("backward is called twice", "[mistakes]") {
  const Tensor a({1, 2}, true), loss = sum(a * 2);
  backward(loss);
  CHECK(error_of<std::logic_error>([&] { backward(loss); }) ==
        "backward: the graph behind 'sum_to' was released by an earlier backward(); ask that one "
        "to retain_graph");
  CHECK(number(a.grad()) == 2);  // as the first one left it
  const Tensor again = sum(a * 2);
  backward(again, /*retain_graph=*/true);
  backward(again);
  CHECK(number(a.grad()) == 6);  // both have added to it
}
