// The engine: what it hands to whom, what it keeps, what it refuses, and how deep it can go.
#include <pthread.h>

#include <memory>
#include <typeinfo>

#include "core/core.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

Tensor leaf(double v) { return Tensor(full({}, Real(v)), true); }
Tensor row(std::vector<Real> values, bool requires_grad = true) {
  Array a = empty({values.size()});
  std::copy(values.begin(), values.end(), a.data());
  return Tensor(std::move(a), requires_grad);
}
double number(const Gradient& g) { return double(dense(g).item()); }
std::vector<Real> numbers(const Gradient& g) {
  const Array a = dense(g).value();
  return std::vector<Real>(a.data(), a.data() + a.size());
}
bool none(const Gradient& g) { return std::holds_alternative<std::monostate>(g); }

}  // namespace

TEST_CASE("a tensor used twice gets the sum of both gradients", "[autograd]") {
  const Tensor a = leaf(1), b = a + a, c = b + b;
  backward(c);
  CHECK(c.item() == 4);
  CHECK(number(a.grad()) == 4);
}

TEST_CASE("a diamond is walked once, not once for each path", "[autograd]") {
  struct Count : Observer {
    int rules = 0;
    void on_backward(const Tensor&, const Tensors&, const Gradients&) override { ++rules; }
  };
  const Tensor a = leaf(1);
  Tensor y = a;
  for (int i = 0; i < 50; ++i) y = y + y;  // 2^50 paths
  Count count;
  backward(y);
  CHECK(count.rules == 50);
  CHECK(number(a.grad()) == 0x1p50);
}

TEST_CASE("backward adds to .grad, zero_grad forgets", "[autograd]") {
  Tensor x = leaf(3);
  CHECK(none(x.grad()));
  backward(x * x);
  CHECK(number(x.grad()) == 6);
  backward(x * Real(10));
  CHECK(number(x.grad()) == 16);
  x.zero_grad();
  CHECK(none(x.grad()));
}

TEST_CASE("a handle to an old .grad is not changed by the next backward", "[autograd]") {
  const Tensor x = leaf(3);
  backward(x * x);
  const Tensor held = std::get<Tensor>(x.grad());
  backward(x * x);
  CHECK(held.item() == 6);
  CHECK(number(x.grad()) == 12);
}

TEST_CASE("a leaf can be the loss", "[autograd]") {
  const Tensor x = leaf(3);
  backward(x);
  CHECK(number(x.grad()) == 1);
  CHECK(number(gradients(x, {x})[0]) == 1);
}

TEST_CASE("gradients of tensors inside the graph", "[autograd]") {
  const Tensor x = leaf(2), y = x * x, z = y * y * y;  // dz/dy = 3 y^2 = 48, dz/dx = 48 * 4
  const Gradients g = gradients(z, {y}, false, true);
  CHECK(number(g[0]) == 48);
  CHECK(none(x.grad()));  // gradients() leaves .grad alone
  // one an ancestor of the other, and the loss itself, in any order
  const Gradients all = gradients(z, {x, z, y}, false, true);
  CHECK(number(all[0]) == 192);
  CHECK(number(all[1]) == 1);
  CHECK(number(all[2]) == 48);
  const Gradients twice = gradients(z, {y, y, x});
  CHECK(number(twice[0]) == 48);
  CHECK(number(twice[1]) == 48);
  CHECK(number(twice[2]) == 192);
}

TEST_CASE("none where the loss does not depend on x", "[autograd]") {
  const Tensor x = leaf(2), unrelated = leaf(5), constant(full({}, 7));
  const Gradients g = gradients(x * x * constant, {unrelated, x});
  CHECK(none(g[0]));
  CHECK(number(g[1]) == 28);
  const Tensor older = leaf(1), newer = leaf(1);  // an x that is younger than what the loss uses
  CHECK(none(gradients(older * older, {newer})[0]));
  backward(x * x);
  CHECK(none(unrelated.grad()));
  CHECK(none(constant.grad()));
}

TEST_CASE("derivatives of derivatives: x^4 three times", "[autograd]") {
  const Tensor x = leaf(2), y = x * x * x * x;
  const Tensor first = std::get<Tensor>(gradients(y, {x}, true)[0]);
  const Tensor second = std::get<Tensor>(gradients(first, {x}, true)[0]);
  const Tensor third = std::get<Tensor>(gradients(second, {x}, true)[0]);
  const Tensor fourth = std::get<Tensor>(gradients(third, {x}, true)[0]);
  CHECK(first.item() == 32);
  CHECK(second.item() == 48);
  CHECK(third.item() == 48);
  CHECK(fourth.item() == 24);
  CHECK_FALSE(gradients(x * x, {x}).empty());
  CHECK_FALSE(std::get<Tensor>(gradients(x * x, {x})[0]).requires_grad());
}

TEST_CASE("a penalty on a gradient trains through backward", "[autograd]") {
  const Tensor x = leaf(3);
  const Tensor slope = std::get<Tensor>(gradients(x * x * x, {x}, true)[0]);  // 3 x^2
  backward(slope * slope);                                                    // d(9 x^4) = 36 x^3
  CHECK(number(x.grad()) == 36 * 27);
}

TEST_CASE("retain_graph allows a second backward", "[autograd]") {
  const Tensor x = leaf(3), y = x * x;
  backward(y, true);
  backward(y, true);
  backward(y);
  CHECK(number(x.grad()) == 18);
}

TEST_CASE("a second backward over a released graph names the op and the way out", "[autograd]") {
  const Tensor x = leaf(3), y = exp(x), z = y * y;
  backward(z);
  CHECK(error_of<std::logic_error>([&] { backward(z); }) ==
        "backward: the graph behind 'mul' was released by an earlier backward(); ask that one to "
        "retain_graph");
  CHECK(error_of<std::logic_error>([&] { backward(y + y); }) ==
        "backward: the graph behind 'exp' was released by an earlier backward(); ask that one to "
        "retain_graph");
  CHECK(error_of<std::logic_error>([&] { gradients(y + y, {x}); }) ==
        "backward: the graph behind 'exp' was released by an earlier backward(); ask that one to "
        "retain_graph");
}

TEST_CASE("a value changed in place since the forward pass is refused, naming both ops",
          "[autograd]") {
  Tensor x = leaf(3), y = log(x), z = y * y;
  SECTION("an input") {
    ++y.mutable_value().data()[0];
    CHECK(error_of<std::logic_error>([&] { backward(z); }) ==
          "backward: 'mul' needs the value that 'log' had in the forward pass, but it was "
          "changed in place since");
  }
  SECTION("a leaf") {
    ++x.mutable_value().data()[0];
    CHECK(error_of<std::logic_error>([&] { backward(z); }) ==
          "backward: 'log' needs the value that 'leaf' had in the forward pass, but it was changed "
          "in place since");
  }
  SECTION("an output, which exp's rule reads") {
    const Tensor alone = exp(x);
    Tensor same = alone;
    ++same.mutable_value().data()[0];
    CHECK(error_of<std::logic_error>([&] { backward(alone); }) ==
          "backward: 'exp' needs the value that 'exp' had in the forward pass, but it was changed "
          "in place since");
  }
  CHECK(none(x.grad()));
  SECTION("an input that the rule does not read is no harm") {
    const Tensor careless =
        record("twice", {x}, (x * Real(2)).value(),
               [](const Tensor&, const Tensor& dy) -> Gradients { return {dy * Real(2)}; });
    const Tensor careful = record("twice", {x}, (x * Real(2)).value(),
                                  [x](const Tensor&, const Tensor& dy) -> Gradients {
                                    return {dy * (x.value().data()[0] > 0 ? Real(2) : Real(2))};
                                  });
    ++x.mutable_value().data()[0];
    backward(careless);
    CHECK(number(x.grad()) == 2);
    CHECK(error_of<std::logic_error>([&] { backward(careful); }) ==
          "backward: 'twice' needs the value that 'leaf' had in the forward pass, but it was "
          "changed in place since");
  }
  SECTION("nor is one of the other factor, whose partial nobody wants") {
    Tensor constant(full({}, 5));
    const Tensor product = x * constant;
    ++x.mutable_value().data()[0];
    backward(product);
    CHECK(number(x.grad()) == 5);
  }
  SECTION("a rule may change what it has made itself") {
    backward(record("mine", {x}, full({}, 1), [](const Tensor&, const Tensor& dy) -> Gradients {
      Tensor dx = dy.detach();
      dx.mutable_value() *= 3;
      return {dx * Real(1)};
    }));
    CHECK(number(x.grad()) == 3);
  }
  SECTION("a change before the forward pass is no harm") {
    x.mutable_value().data()[0] = 5;
    backward(x * x);
    CHECK(number(x.grad()) == 10);
  }
}

TEST_CASE("misuse is refused with a text that says what to do", "[autograd]") {
  const Tensor x = row({1, 2}), constant(full({}, 1)), none;
  CHECK(error_of<std::invalid_argument>([&] { backward(x * x); }) ==
        "backward: the loss must hold one element, got shape [2]; sum() or mean() it");
  CHECK(error_of<std::logic_error>([&] { backward(constant); }) ==
        "backward: the loss depends on no tensor that requires a gradient");
  CHECK(error_of<std::logic_error>([&] {
          gradients(sum(x), {x, constant});
        }) == "gradients: each x must require a gradient");
  CHECK(error_of<std::logic_error>([&] { backward(none); }) ==
        "tensor: this handle refers to no tensor; was it assigned?");
  Tensor y = x * x;
  CHECK(error_of<std::logic_error>([&] { y.grad(); }) ==
        "grad: only leaves keep a gradient, this is the output of 'mul'; use detach() or "
        "gradients()");
  CHECK(error_of<std::logic_error>([&] { y.set_requires_grad(false); }) ==
        "set_requires_grad: only a leaf can be switched, this is the output of 'mul'; use detach() "
        "or gradients()");
  CHECK(error_of<std::invalid_argument>([&] { x.item(); }) ==
        "item: the tensor must hold one element, got shape [2]");
  CHECK(error_of<std::out_of_range>([&] { x.shape(1); }) == "shape: axis 1 is outside [2]");
  CHECK(error_of<std::logic_error>([&] { dense(Gradient{}); }) ==
        "dense: there is no gradient; does the loss depend on this tensor?");
  const Tensor broken = record("broken", {x, x}, full({}, 1),
                               [](const Tensor&, const Tensor& dy) -> Gradients { return {dy}; });
  CHECK(error_of<std::logic_error>([&] { backward(broken); }) ==
        "backward: the rule of 'broken' returned 1 gradients for 2 inputs");
}

TEST_CASE("a gradient that does not fit its input is refused, whatever rule made it",
          "[autograd]") {
  const Tensor w(full({4, 2}, 1), true);
  const auto backward_with = [&](const Gradient& g) {
    return error_of([&] {
      backward(record("mine", {w}, full({}, 1),
                      [g](const Tensor&, const Tensor&) -> Gradients { return {g}; }));
    });
  };
  const std::string start = "backward: the rule of 'mine' returned a gradient ";
  const auto ones = [](const Shape& shape) { return Tensor(full(shape, 1)); };
  CHECK(backward_with(ones({4})) == start + "[4] for its input 0 [4, 2]");
  CHECK(backward_with(ones({})) == start + "[] for its input 0 [4, 2]");
  CHECK(backward_with(RowSparse{{1}, ones({1, 2}), 5}) == start + "[5, 2] for its input 0 [4, 2]");
  CHECK(backward_with(RowSparse{{1}, ones({1, 3}), 4}) == start + "[4, 3] for its input 0 [4, 2]");
  const std::string rows = "backward: the rule of 'mine' returned rows ";
  CHECK(backward_with(RowSparse{{1}, ones({2, 2}), 4}) ==
        rows + "[1] with values [2, 2] for its input 0 [4, 2]");
  CHECK(backward_with(RowSparse{Indices{{1, 2}}, ones({2, 2}), 4}) ==
        rows + "[1, 2] with values [2, 2] for its input 0 [4, 2]");
  CHECK(backward_with(RowSparse{{1, 2, 3}, ones({4, 2}), 4}) ==
        rows + "[3] with values [4, 2] for its input 0 [4, 2]");
  CHECK(backward_with(RowSparse{full<Indices>({1, 1, 1}, 1), ones({1, 1}),
                                4}) ==  // more axes than the values have
        rows + "[1, 1, 1] with values [1, 1] for its input 0 [4, 2]");
  for (const Gradient& undefined : {Gradient(Tensor()), Gradient(RowSparse{})})
    CHECK(backward_with(undefined) ==
          "backward: the rule of 'mine' returned an undefined tensor for its input 0 [4, 2]");
  CHECK(backward_with(RowSparse{{4}, ones({1, 2}), 4}) ==
        "mine: index 4 at [0] is outside a table of 4 rows");
  CHECK(std::holds_alternative<std::monostate>(w.grad()));
  CHECK(backward_with(RowSparse{{3}, ones({1, 2}), 4}) == "nothing was thrown");

  const Rule rule = [](const Tensor&, const Tensor& dy) -> Gradients { return {dy, dy}; };
  CHECK(error_of<std::logic_error>([&] {
          record("mine", {w, Tensor()}, full({}, 1), rule);
        }) == "mine: input 1 is undefined");
  CHECK(error_of<std::logic_error>([&] { record("mine", {w}, full({}, 1), Rule()); }) ==
        "mine: there is no rule");
}

TEST_CASE("a mask that is changed before backward is noticed", "[autograd]") {
  Tensor mask(full({2}, 1));
  const Tensor y = sum(where(mask, row({1, 2}), row({3, 4})));
  mask.mutable_value().fill(0);
  CHECK(error_of<std::logic_error>([&] { backward(y); }) ==
        "backward: 'where' needs the value that 'leaf' had in the forward pass, but it was changed "
        "in place since");
}

TEST_CASE("no observer is told of the sums of gradients", "[autograd]") {
  struct Counter : Observer {
    int forward = 0;
    void on_forward(const char*, const Tensors&, const Tensors&) override { ++forward; }
  };
  const Tensor table(full({3, 2}, 1), true), x = row({1, 2});
  backward(sum(gather_rows(table, Indices{1})));
  backward(sum(x));
  const Gradient held = x.grad();  // so that it cannot be added to in place
  const Tensor y = sum(x), z = sum(gather_rows(table, Indices{1, 2, 1}));
  const Counter counter;
  backward(y);
  CHECK(counter.forward == 1);  // broadcast_to, the rule of sum
  backward(z);
  CHECK(counter.forward == 2);
  CHECK(std::get<Tensor>(held).value()(0) == 1);
  CHECK(norm(table.grad()) == Approx(std::sqrt(2 * 9 + 2)));
  CHECK(counter.forward == 2);
}

TEST_CASE("the value of a temporary outlives it", "[autograd]") {
  const Array& y = (row({1, 2}) * Real(2)).value();
  CHECK(y(1) == 4);
  Real total = 0;
  for (Real v : (row({1, 2}) * Real(3)).value()) total += v;
  CHECK(total == 9);
}

TEST_CASE("nothing is recorded under NoGrad, or for inputs without a gradient", "[autograd]") {
  const Tensor x = leaf(3);
  CHECK(grad_enabled());
  {
    NoGrad guard;
    CHECK_FALSE(grad_enabled());
    const Tensor y = x * x;
    CHECK_FALSE(y.requires_grad());
    CHECK(y.node()->inputs.empty());
    CHECK(y.node()->rule == nullptr);
    {
      NoGrad off(false);
      CHECK((x * x).requires_grad());
    }
    CHECK_FALSE(grad_enabled());
  }
  CHECK(grad_enabled());
  const Tensor constant(full({}, 2)), y = constant * constant;
  CHECK_FALSE(y.requires_grad());
  CHECK(y.node()->inputs.empty());
  CHECK((x * x).requires_grad());
}

TEST_CASE("NoGrad ends where an exception leaves it", "[autograd]") {
  const Tensor x = row({1, 2});
  CHECK_THROWS(backward(
      record("bad", {x}, full({}, 1), [](const Tensor&, const Tensor&) -> Gradients { throw 1; })));
  CHECK(grad_enabled());
}

TEST_CASE("detach copies the value and cuts the graph", "[autograd]") {
  const Tensor x = leaf(3), y = x * x;
  Tensor d = y.detach();
  CHECK_FALSE(d.requires_grad());
  backward(y * d);  // d counts as a constant 9
  CHECK(number(x.grad()) == 9 * 6);
  d.mutable_value().data()[0] = 1;
  CHECK(y.item() == 9);
}

TEST_CASE("the graph dies while it is walked", "[autograd]") {
  const Tensor x = leaf(1);
  // notes how many nodes live each time a rule has run
  struct Ledger : Observer {
    std::vector<std::size_t> live;
    void on_backward(const Tensor&, const Tensors&, const Gradients&) override {
      live.push_back(live_nodes());
    }
  };
  const std::size_t before = live_nodes();
  std::weak_ptr<Node> middle;
  {
    Tensor y = x;
    for (int i = 0; i < 100; ++i) {
      y = y * Real(2);
      if (i == 50) middle = y.node();
    }
    CHECK(live_nodes() == before + 100);
    SECTION("released: at the last rule all but a handful are gone") {
      Ledger ledger;
      backward(y);
      REQUIRE(ledger.live.size() == 100);
      CHECK(ledger.live.back() < before + 8);
      CHECK(ledger.live[50] < before + 58);
      CHECK(middle.expired());
      CHECK(live_nodes() == before + 2);  // y and x's gradient
    }
    SECTION("retained") {
      backward(y, true);
      CHECK_FALSE(middle.expired());
      CHECK(live_nodes() == before + 101);
    }
  }
  CHECK(middle.expired());
  CHECK(live_nodes() == before + 1);
}

TEST_CASE("no op keeps itself alive", "[autograd]") {
  const std::size_t before = live_nodes();
  {
    const Tensor x = row({0.5, 0.25});
    const Tensor y =
        sum(exp(x) * sigmoid(x) / tanh(x) + sqrt(x) * softmax(x, 0) + log_softmax(x, 0) * max(x));
    CHECK(y.requires_grad());
    const Gradients g = gradients(y, {x}, true);  // derivatives keep a graph of their own
    CHECK(live_nodes() > before + 20);
  }
  CHECK(live_nodes() == before);
}

TEST_CASE("a backward that fails leaves every .grad as it was", "[autograd]") {
  struct Bomb : Observer {
    int left;
    explicit Bomb(int n) : left(n) {}
    void on_backward(const Tensor&, const Tensors&, const Gradients&) override {
      if (--left == 0) throw std::runtime_error("bomb");
    }
  };
  const Tensor a = leaf(2), b = leaf(3), c = leaf(4);
  backward(a * b);
  for (int at = 1; at <= 4; ++at) {
    const Tensor loss = (a * b + c) * c * b;  // the youngest rule already finishes a share of b's
    Bomb bomb(at);
    CHECK(error_of<std::runtime_error>([&] { backward(loss); }) == "bomb");
    CHECK(number(a.grad()) == 3);
    CHECK(number(b.grad()) == 2);
    CHECK(none(c.grad()));
  }
  CHECK(grad_enabled());
}

TEST_CASE("two leaves that were handed the same gradient keep buffers of their own", "[autograd]") {
  Tensor a = row({1, 2}), b = row({3, 4}), weight = row({5, 6}, false);
  backward(sum((a + b) * weight));
  std::get<Tensor>(a.mutable_grad()).mutable_value().data()[0] = 100;
  CHECK(numbers(a.grad()) == std::vector<Real>{100, 6});
  CHECK(numbers(b.grad()) == std::vector<Real>{5, 6});
  backward(sum((a + b) * weight));  // and adding in place into one does not reach the other
  CHECK(numbers(a.grad()) == std::vector<Real>{105, 12});
  CHECK(numbers(b.grad()) == std::vector<Real>{10, 12});
}

TEST_CASE("adding in place never reaches a gradient that another holds", "[autograd]") {
  // dy of the first add goes to x, to y and, through y, to x again
  const Tensor x = row({1, 2}), y = x * Real(1), z = x + y;
  const Gradients g = gradients(sum(z + x), {x, y, z});
  CHECK(numbers(g[0]) == std::vector<Real>{3, 3});
  CHECK(numbers(g[1]) == std::vector<Real>{1, 1});
  CHECK(numbers(g[2]) == std::vector<Real>{1, 1});
}

TEST_CASE("frozen leaves take no gradient and can be thawed", "[autograd]") {
  Tensor a = leaf(2), b = leaf(3);
  b.set_requires_grad(false);
  backward(a * b);
  CHECK(number(a.grad()) == 3);
  CHECK(none(b.grad()));
  b.set_requires_grad(true);
  backward(a * b);
  CHECK(number(b.grad()) == 2);
}

namespace {

// One million ops in a chain: built, differentiated and destroyed, in both ways of dying.
void* live_and_die(void* failed) {
  constexpr int kOps = 1000000;
  const std::size_t before = live_nodes();
  {
    const Tensor x = leaf(1);
    Tensor y = x, never_walked = x;
    for (int i = 0; i < kOps; ++i) y = y + Real(1);
    backward(y);
    bool ok = y.item() == kOps + 1 && number(x.grad()) == 1 && live_nodes() < before + 8;
    for (int i = 0; i < kOps; ++i) never_walked = never_walked + never_walked;
    never_walked = Tensor();
    ok = ok && live_nodes() < before + 8;
    for (int i = 0; i < kOps; ++i)
      never_walked = i == 0 ? x + Real(1) : x * never_walked;  // a rule that captures its inputs
    const Gradients g = gradients(never_walked, {x}, false, true);  // retained: dies as a whole
    ok = ok && number(g[0]) == 2 * kOps - 1;                        // of x^(n-1) * (x + 1) at 1
    *static_cast<bool*>(failed) = !ok;
  }
  if (live_nodes() != before) *static_cast<bool*>(failed) = true;
  return nullptr;
}

}  // namespace

TEST_CASE("a chain of a million ops lives and dies on the normal stack", "[autograd]") {
  bool failed = true;
  live_and_die(&failed);
  CHECK_FALSE(failed);
}

TEST_CASE("a chain of a million ops lives and dies on small stacks", "[autograd]") {
  for (std::size_t kilobytes : {256, 8192}) {
    bool failed = true;
    pthread_attr_t attributes;
    pthread_t thread;
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstacksize(&attributes, kilobytes * 1024) == 0);
    REQUIRE(pthread_create(&thread, &attributes, live_and_die, &failed) == 0);
    REQUIRE(pthread_join(thread, nullptr) == 0);
    pthread_attr_destroy(&attributes);
    INFO(kilobytes << " KB");
    CHECK_FALSE(failed);
  }
}

namespace {

// An autograd of another make, for comparison: scalars on a tape, each entry with its two partial
// derivatives as numbers, swept backwards once.
struct Tape {
  struct Entry {
    double value;
    std::size_t a, b;
    double da, db;
  };
  std::vector<Entry> entries;
  std::size_t leaf(double v) { return push(v, 0, 0, 0, 0); }
  std::size_t push(double v, std::size_t a, double da, std::size_t b, double db) {
    entries.push_back({v, a, b, da, db});
    return entries.size() - 1;
  }
  std::size_t apply(std::size_t op, std::size_t a, std::size_t b) {
    const double u = entries[a].value, v = entries[b].value;
    switch (op) {
      case 0:
        return push(u + v, a, 1, b, 1);
      case 1:
        return push(u - v, a, 1, b, -1);
      case 2:
        return push(u * v, a, v, b, u);
      case 3:
        return push(u / (v * v + 1), a, 1 / (v * v + 1), b,
                    -2 * u * v / ((v * v + 1) * (v * v + 1)));
      case 4:
        return push(std::tanh(u), a, 1 - std::tanh(u) * std::tanh(u), b, 0);
      case 5:
        return push(std::exp(std::tanh(v)), a, 0, b,
                    std::exp(std::tanh(v)) * (1 - std::tanh(v) * std::tanh(v)));
      default:
        return push(u > 0 ? u : 0, a, u > 0 ? 1 : 0, b, 0);
    }
  }
  std::vector<double> sweep() const {
    std::vector<double> gradient(entries.size(), 0);
    gradient.back() = 1;
    for (std::size_t i = entries.size(); i-- > 0;) {
      gradient[entries[i].a] += entries[i].da * gradient[i] * (entries[i].a != i);
      gradient[entries[i].b] += entries[i].db * gradient[i] * (entries[i].b != i);
    }
    return gradient;
  }
};

Tensor apply(std::size_t op, const Tensor& u, const Tensor& v) {
  switch (op) {
    case 0:
      return u + v;
    case 1:
      return u - v;
    case 2:
      return u * v;
    case 3:
      return u / (v * v + Real(1));
    case 4:
      return tanh(u);
    case 5:
      return exp(tanh(v));
    default:
      return relu(u);
  }
}

}  // namespace

TEST_CASE("random expressions agree with a scalar tape", "[autograd]") {
  Generator generator(11);
  const double tolerance = sizeof(Real) == 4 ? 2e-3 : 1e-9;
  for (int round = 0; round < 300; ++round) {
    Tape tape;
    std::vector<Tensor> leaves, tensors;
    for (int i = 0; i < 4; ++i) {
      leaves.push_back(leaf(Real(2 * generator.uniform() - 1)));
      tape.leaf(double(leaves.back().item()));
    }
    tensors = leaves;
    const std::size_t ops = 5 + generator.below(25);
    for (std::size_t i = 0; i < ops; ++i) {
      const std::size_t op = generator.below(7), a = generator.below(tensors.size()),
                        b = generator.below(tensors.size());
      tape.apply(op, a, b);
      tensors.push_back(apply(op, tensors[a], tensors[b]));
    }
    // the sum of everything: each op counts
    std::size_t total = 0;
    Tensor y = tensors[0];
    for (std::size_t i = 1; i < tensors.size(); ++i) {
      total = tape.apply(0, total, i);
      y = y + tensors[i];
    }
    INFO("round " << round);
    if (!(std::abs(tape.entries.back().value) < 1e4)) continue;  // products of products may explode
    const std::vector<double> expected = tape.sweep();
    CHECK_THAT(double(y.item()), WithinRel(tape.entries.back().value, tolerance) ||
                                     WithinAbs(tape.entries.back().value, tolerance));
    backward(y);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      CHECK_THAT(number(leaves[i].grad()),
                 WithinRel(expected[i], tolerance) || WithinAbs(expected[i], tolerance));
    }
  }
}

TEST_CASE("the graph behind the oldest x is not walked", "[autograd]") {
  const Tensor w = leaf(3), h = w * Real(2);
  const Tensor y = h * h;
  CHECK(number(gradients(y, {h})[0]) == 12);
  backward(sum(h));  // still there
  CHECK(number(w.grad()) == 2);
  CHECK(number(gradients(h * h, {h})[0]) == 12);  // released behind h, which does no harm
}

TEST_CASE("a list is the gradient of an op with several outputs only", "[autograd]") {
  const Tensor w = leaf(3);
  const Tensor y = record("mine", {w}, full({}, 1), [](const Tensor&, const Tensor& dy) {
    return Gradients{Tensors{dy, dy}};
  });
  CHECK(error_of<std::logic_error>([&] { backward(y); }) ==
        "backward: the rule of 'mine' returned a list of gradients for its input 0 []");
}

TEST_CASE("an op with several outputs", "[autograd]") {
  const Tensor x = row({1, 2, 3});
  const auto both = [&] {  // x^2 and x^3
    const Array a = pow(x, 2).value(), b = pow(x, 3).value();
    return record_many("powers", {x}, {a, b}, [x](const Tensors& dys) {
      Tensor dx(full({3}, 0));
      if (dys[0].defined()) dx = dx + dys[0] * x * Real(2);
      if (dys[1].defined()) dx = dx + dys[1] * x * x * Real(3);
      return Gradients{dx};
    });
  };
  const Tensors ys = both();
  backward(sum(ys[0]) + sum(ys[1]));
  CHECK(numbers(x.grad()) == std::vector<Real>{5, 16, 33});
  CHECK(numbers(gradients(sum(both()[1]), {x})[0]) == std::vector<Real>{3, 12, 27});
  const Tensors again = both();
  CHECK(numbers(gradients(sum(again[0] * again[1]), {again[1]})[0]) == std::vector<Real>{1, 4, 9});
  const Gradient first = gradients(sum(both()[1]), {x}, true)[0];
  CHECK(numbers(gradients(sum(dense(first)), {x})[0]) == std::vector<Real>{6, 12, 18});
  CHECK(error_of<std::logic_error>([&] { backward(sum(ys[0])); }) ==
        "backward: the graph behind 'powers' was released by an earlier backward(); ask that one "
        "to retain_graph");
}
