// Embedding and EmbeddingBag: each option by hand, against finite differences, against twins made of
// small ops, sparse against dense, and what they refuse. PyTorch's numbers are in test_pytorch.cpp.
#include <limits>
#include <set>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

using Numbers = std::vector<double>;

Array array(const Shape& shape, const Numbers& values) {
  Array a = empty(shape);
  REQUIRE(values.size() == a.size());
  std::copy(values.begin(), values.end(), a.data());
  return a;
}
Tensor tensor(const Shape& shape, const Numbers& values, bool requires_grad = false) {
  return Tensor(array(shape, values), requires_grad);
}
Indices list(const std::vector<std::int64_t>& values) {
  Indices a = empty<Indices>({values.size()});
  std::copy(values.begin(), values.end(), a.data());
  return a;
}
Indices column(const std::vector<std::int64_t>& values) {
  Indices a = list(values);
  a.reshape(Shape{values.size(), 1});
  return a;
}
Numbers numbers(const Tensor& t) { return Numbers(t.value().begin(), t.value().end()); }

void check_values(const Tensor& y, const Shape& shape, const Numbers& values) {
  CHECK(y.shape() == shape);
  REQUIRE(y.size() == values.size());
  const double tolerance = sizeof(Real) == 4 ? 1e-6 : 1e-12;
  for (std::size_t i = 0; i < values.size(); ++i) {
    INFO("element " << i);
    CHECK_THAT(double(y.value().data()[i]), WithinAbs(values[i], tolerance * 10));
  }
}

const Array kTable = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};

const BagMode kModes[] = {BagMode::kSum, BagMode::kMean, BagMode::kMax};
const char* name_of(BagMode mode) {
  return mode == BagMode::kSum ? "sum" : mode == BagMode::kMean ? "mean" : "max";
}

EmbeddingBag bag_of(const Array& table, BagMode mode, EmbeddingBagOptions options = {}) {
  options.mode = mode;
  return EmbeddingBag::from_pretrained(table, false, options);
}

// Bags of random sizes, empty ones too, of random ids, and random options.
struct Case {
  EmbeddingBagOptions options;
  Array table;
  Indices ids, offsets;
  Array weights;  // one for each id
};

Case random_case(Generator& g) {
  const std::size_t V = 1 + g.below(6), D = 1 + g.below(3), N = 1 + g.below(4);
  std::vector<std::int64_t> ids, offsets;
  for (std::size_t k = 0; k < N; ++k) {
    offsets.push_back(static_cast<std::int64_t>(ids.size()));
    for (std::size_t i = g.below(5); i > 0; --i)
      ids.push_back(static_cast<std::int64_t>(g.below(V)));
  }
  EmbeddingBagOptions o;
  o.mode = kModes[g.below(3)];
  if (g.below(2)) o.padding_idx = static_cast<std::int64_t>(g.below(V));
  if (g.below(2)) o.max_norm = 1;
  o.norm_type = double(1 + g.below(3));
  o.scale_grad_by_freq = g.below(2);
  o.keep_padding_zero = g.below(2);
  return {o, normal({V, D}, g), list(ids), list(offsets), normal({ids.size()}, g)};
}

std::string describe(const Case& c) {
  const EmbeddingBagOptions& o = c.options;
  return message(name_of(o.mode), " table ", c.table.shape(), " ids ", c.ids.size(), " bags ",
                 c.offsets.size(), " padding ", o.padding_idx.value_or(-1), " max_norm ",
                 o.max_norm.value_or(0), " p ", o.norm_type, " by_freq ", o.scale_grad_by_freq,
                 " keep ", o.keep_padding_zero);
}

// What EmbeddingBag does, with every row laid out.
Tensor composed(const Tensor& table, const Case& c, const Tensor& weights) {
  std::vector<std::int64_t> kept, at;
  std::vector<std::size_t> ends;
  for (std::size_t k = 0; k < c.offsets.size(); ++k) {
    const std::size_t end =
        k + 1 < c.offsets.size() ? static_cast<std::size_t>(c.offsets.data()[k + 1]) : c.ids.size();
    for (auto i = static_cast<std::size_t>(c.offsets.data()[k]); i < end; ++i) {
      if (c.options.padding_idx == c.ids.data()[i]) continue;
      kept.push_back(c.ids.data()[i]);
      at.push_back(static_cast<std::int64_t>(i));
    }
    ends.push_back(kept.size());
  }
  Tensor rows = gather_rows(table, list(kept), {}, c.options.sparse, c.options.scale_grad_by_freq);
  if (weights.defined()) rows = rows * reshape(gather_rows(weights, list(at)), {at.size(), 1});
  Tensors bags;
  for (std::size_t k = 0, begin = 0; k < ends.size(); begin = ends[k++]) {
    const Tensor part = slice(rows, 0, begin, ends[k]);
    bags.push_back(begin == ends[k]                   ? Tensor(full({table.shape(1)}, 0))
                   : c.options.mode == BagMode::kSum  ? sum(part, {0})
                   : c.options.mode == BagMode::kMean ? mean(part, {0})
                                                      : max(part, {0}));
  }
  return stack(bags, 0);
}

}  // namespace

TEST_CASE("a table that is given, to train or frozen", "[embedding]") {
  const Indices ids{{0, 3}, {3, 1}};
  const Embedding frozen = Embedding::from_pretrained(kTable),
                  tuned = Embedding::from_pretrained(kTable, false);
  CHECK((frozen.weight().value() == kTable));
  CHECK(frozen.state_dict()[0].first == "weight");
  CHECK(numbers(frozen(ids)) == Numbers{1, 2, 7, 8, 7, 8, 3, 4});
  CHECK(tuned(ids).requires_grad());
  CHECK_FALSE(frozen(ids).requires_grad());
  // no gradient, and no node that remembers how y was made
  const std::size_t before = live_nodes();
  const Tensor y = frozen(ids);
  CHECK(live_nodes() == before + 1);
  CHECK(y.node()->inputs.empty());
  CHECK(error_of<std::invalid_argument>([&] { SGD(frozen.parameters(), {1}); }) ==
        "optimizer: needs at least one parameter that requires a gradient");
  for (BagMode mode : kModes) {
    EmbeddingBagOptions options;
    options.mode = mode;
    const EmbeddingBag bag = EmbeddingBag::from_pretrained(kTable, true, options);
    CHECK_FALSE(bag(ids).requires_grad());
    CHECK(bag_of(kTable, mode)(ids).requires_grad());
  }
  // the weights of the samples learn over a frozen table, which gets nothing
  EmbeddingBagOptions options;
  options.mode = BagMode::kSum;
  const EmbeddingBag bag = EmbeddingBag::from_pretrained(kTable, true, options);
  const Tensor w = tensor({2, 2}, {1, 1, 1, 1}, true), loss = sum(bag(ids, w));
  struct Ran : Observer {
    std::set<std::string> ops;
    void on_forward(const char* op, const Tensors&, const Tensors&) override { ops.insert(op); }
  } ran;
  backward(loss);
  check_values(dense(w.grad()), {2, 2}, {3, 15, 15, 7});
  CHECK(std::holds_alternative<std::monostate>(bag.weight().grad()));
  CHECK(ran.ops.count("row_dots") == 1);
  CHECK(ran.ops.count("weighted_rows") == 0);
}

TEST_CASE("a lookup of the padding row gives zeros, whatever happens to the table", "[embedding]") {
  const bool sparse = GENERATE(true, false);
  const auto row = [](const EmbeddingTable& layer) {
    return numbers(slice(layer.weight(), 0, 1, 2));
  };
  EmbeddingOptions options;
  options.padding_idx = -3;
  options.sparse = sparse;
  Embedding layer = Embedding::from_pretrained(kTable, false, options);
  CHECK(row(layer) == Numbers{0, 0});
  CHECK(row(bag_of(kTable, BagMode::kMean, [] {
          EmbeddingBagOptions o;
          o.padding_idx = 1;
          return o;
        }())) == Numbers{0, 0});
  layer.load_state_dict({{"weight", kTable}});
  const std::uint64_t changed = layer.weight().node()->changed;
  CHECK(numbers(layer(Indices{1, 0})) == Numbers{0, 0, 1, 2});
  CHECK(layer.weight().node()->changed == changed);  // a lookup only reads
  SgdOptions sgd_options;
  sgd_options.lr = 0.1;
  sgd_options.momentum = 0.9;
  sgd_options.weight_decay = 0.1;
  SGD sgd(layer.parameters(), sgd_options);
  for (int step = 0; step < 4; ++step) {
    sgd.zero_grad();
    const Tensor h = layer(Indices{1, 2, 0});  // and as the weight of an output layer
    CHECK(numbers(slice(h, 0, 0, 1)) == Numbers{0, 0});
    backward(sum(tanh(linear(h, layer.weight(), {}))));
    sgd.step();
  }
  CHECK(numbers(layer(Indices{1})) == Numbers{0, 0});
}

TEST_CASE("the padding row is an ordinary row when asked to be", "[embedding]") {
  EmbeddingOptions options;
  options.padding_idx = 1;
  options.keep_padding_zero = false;
  Generator g(1);
  CHECK(numbers(slice(Embedding(4, 2, g, options).weight(), 0, 1, 2)) == Numbers{0, 0});
  Embedding layer = Embedding::from_pretrained(kTable, false, options);
  CHECK(numbers(layer(Indices{1, 0})) == Numbers{3, 4, 1, 2});
  backward(sum(layer(Indices{1, 0, 1})));
  CHECK(numbers(dense(layer.weight().grad())) == Numbers{1, 1, 0, 0, 0, 0, 0, 0});
  EmbeddingBagOptions bag_options;
  bag_options.padding_idx = 1;
  bag_options.keep_padding_zero = false;
  const EmbeddingBag bag = bag_of(kTable, BagMode::kSum, bag_options);
  CHECK(numbers(bag(Indices{{1, 0}, {1, 1}})) == Numbers{1, 2, 0, 0});
  CHECK((bag.weight().value() == kTable));
}

TEST_CASE("max_norm scales the rows that are looked up, and no others", "[embedding]") {
  const Array table{{3, 4}, {6, 8}, {-3, 4}, {1, 1}};
  EmbeddingOptions options;
  const auto after = [&](std::optional<double> max_norm, double p, const Indices& ids) {
    options.max_norm = max_norm;
    options.norm_type = p;
    const Embedding layer = Embedding::from_pretrained(table, false, options);
    layer(ids);
    return layer.weight();
  };
  const double inf = std::numeric_limits<double>::infinity();
  const double two = 2 / (5 + 1e-7), one = 2 / (7 + 1e-7), top = 2 / (4 + 1e-7);
  check_values(after(2, 2, list({2, 3, 2})), {4, 2}, {3, 4, 6, 8, -3 * two, 4 * two, 1, 1});
  check_values(after(2, 1, list({2, 3})), {4, 2}, {3, 4, 6, 8, -3 * one, 4 * one, 1, 1});
  check_values(after(2, inf, list({2, 3})), {4, 2}, {3, 4, 6, 8, -3 * top, 4 * top, 1, 1});
  const double three = 2 / (std::cbrt(27. + 64) + 1e-7);
  check_values(after(2, 3, list({0})), {4, 2}, {3 * three, 4 * three, 6, 8, -3, 4, 1, 1});
  CHECK(after(5, 2, list({0, 2, 3})).node()->changed == 0);  // none is greater than 5
  CHECK(after({}, 2, list({0, 1})).node()->changed == 0);
  for (BagMode mode : kModes) {
    EmbeddingBagOptions bag_options;
    bag_options.max_norm = 2;
    const EmbeddingBag bag = bag_of(table, mode, bag_options);
    check_values(bag(Indices{{0, 0}}), {1, 2},
                 mode == BagMode::kSum ? Numbers{6 * two, 8 * two} : Numbers{3 * two, 4 * two});
    check_values(bag.weight(), {4, 2}, {3 * two, 4 * two, 6, 8, -3, 4, 1, 1});
  }
}

TEST_CASE("a row that is looked up more than once is scaled once", "[embedding]") {
  // so long that the 1e-7 in the divisor does not keep the scaled row below the bound
  Generator g(5);
  Array rows = normal({50, 8}, g);
  for (Real& x : rows) x *= Real(1e12);
  EmbeddingOptions options;
  options.max_norm = 1;
  for (std::int64_t i = 0; i < 50; ++i) {
    const Embedding once = Embedding::from_pretrained(rows, false, options),
                    often = Embedding::from_pretrained(rows, false, options);
    once(list({i}));
    often(list({i, i, i}));
    REQUIRE((once.weight().value() == often.weight().value()));
  }
}

TEST_CASE("max_norm does not spoil the lookups before it", "[embedding]") {
  const Array table{{3, 4}, {6, 8}, {-3, 4}, {1, 1}};
  EmbeddingBagOptions options;
  options.max_norm = 2;
  SECTION("a table looked up twice in one forward pass") {
    const Embedding layer = Embedding::from_pretrained(table, false, options);
    const Tensor first = layer(Indices{0, 3}), second = layer(Indices{1, 0});
    CHECK(layer.weight().node()->changed > 0);
    backward(sum(first) + sum(second));
    CHECK(numbers(dense(layer.weight().grad())) == Numbers{2, 2, 1, 1, 0, 0, 1, 1});
  }
  SECTION("bags") {
    for (BagMode mode : kModes) {
      const EmbeddingBag layer = bag_of(table, mode, options);
      const Tensor first = layer(column({0, 3})), second = layer(column({1, 0}));
      backward(sum(first) + sum(second));
      CHECK(numbers(dense(layer.weight().grad())) == Numbers{2, 2, 1, 1, 0, 0, 1, 1});
    }
  }
  SECTION("a dense use that needs the table as it was is refused") {
    const Embedding layer = Embedding::from_pretrained(table, false, options);
    const Tensor squares = layer.weight() * layer.weight();
    const Tensor rows = layer(Indices{1});
    CHECK(error_of<std::logic_error>([&] { backward(sum(squares) + sum(rows)); }) ==
          "backward: 'mul' needs the value that 'leaf' had in the forward pass, but it was changed "
          "in place since");
  }
  SECTION("so are weights of samples, whose gradient is made of the table's rows") {
    const EmbeddingBag layer = bag_of(table, BagMode::kSum, options);
    const Tensor w = tensor({1, 1}, {1}, true);
    const Tensor first = layer(column({0}), w), second = layer(column({1}), w);
    CHECK(error_of<std::logic_error>([&] { backward(sum(first) + sum(second)); }) ==
          "backward: 'weighted_rows' needs the value that 'leaf' had in the forward pass, but it "
          "was changed in place since");
  }
}

TEST_CASE("bags by hand", "[embedding]") {
  const Array table{{1, -2}, {3, 4}, {5, 6}, {7, -8}};
  const Indices ids = list({3, 0, 0, 1, 2, 0}), offsets = list({0, 3, 3, 5});  // 3 0 0, -, 1 2, 0
  check_values(bag_of(table, BagMode::kSum)(ids, offsets), {4, 2}, {9, -12, 0, 0, 8, 10, 1, -2});
  check_values(bag_of(table, BagMode::kMean)(ids, offsets), {4, 2}, {3, -4, 0, 0, 4, 5, 1, -2});
  check_values(bag_of(table, BagMode::kMax)(ids, offsets), {4, 2}, {7, -2, 0, 0, 5, 6, 1, -2});
  EmbeddingBagOptions options;
  SECTION("offsets that end with the number of ids") {
    options.include_last_offset = true;
    check_values(bag_of(table, BagMode::kSum, options)(ids, list({0, 3, 3, 5, 6})), {4, 2},
                 {9, -12, 0, 0, 8, 10, 1, -2});
    CHECK(bag_of(table, BagMode::kSum, options)(list({}), list({0})).shape() == Shape{0, 2});
    check_values(bag_of(table, BagMode::kMax, options)(list({}), list({0, 0})), {1, 2}, {0, 0});
  }
  SECTION("the rows of a matrix of ids") {
    const Indices matrix{{3, 0, 0}, {1, 2, 0}};
    check_values(bag_of(table, BagMode::kMean)(matrix), {2, 2}, {3, -4, 3, 8 / 3.});
    CHECK(bag_of(table, BagMode::kMean)(full<Indices>({0, 3}, 0)).shape() == Shape{0, 2});
    check_values(bag_of(table, BagMode::kMax)(full<Indices>({2, 0}, 0)), {2, 2}, {0, 0, 0, 0});
  }
  SECTION("padding is left out, and not counted") {
    options.padding_idx = 0;
    check_values(bag_of(table, BagMode::kSum, options)(ids, offsets), {4, 2},
                 {7, -8, 0, 0, 8, 10, 0, 0});
    check_values(bag_of(table, BagMode::kMean, options)(ids, offsets), {4, 2},
                 {7, -8, 0, 0, 4, 5, 0, 0});
    check_values(bag_of(table, BagMode::kMax, options)(ids, offsets), {4, 2},
                 {7, -8, 0, 0, 5, 6, 0, 0});
  }
  SECTION("weights of the samples") {
    for (bool padded : {false, true}) {
      if (padded) options.padding_idx = 0;
      const EmbeddingBag bag = bag_of(table, BagMode::kSum, options);
      const Tensor w = tensor({6}, {1, 10, 100, 2, 3, 4}, true), y = bag(ids, offsets, w);
      check_values(
          y, {4, 2},
          padded ? Numbers{7, -8, 0, 0, 21, 26, 0, 0} : Numbers{117, -228, 0, 0, 21, 26, 4, -8});
      backward(sum(y * tensor({4, 1}, {1, 2, 10, 100})));
      const double p = padded ? 0 : -1;  // the sum of row 0
      check_values(dense(w.grad()), {6}, {-1, p, p, 70, 110, 100 * p});
      const double q = padded ? 0 : 510;
      check_values(dense(bag.weight().grad()), {4, 2}, {q, q, 20, 20, 30, 30, 1, 1});
    }
    check_values(
        bag_of(table, BagMode::kSum)(Indices{{0, 1}, {2, 2}}, tensor({2, 2}, {1, 2, 3, 4})), {2, 2},
        {7, 6, 35, 42});
  }
}

TEST_CASE("gradients divided by how often an id occurs", "[embedding]") {
  const Indices ids{{0, 2}, {2, 2}};
  for (bool sparse : {true, false}) {
    EmbeddingBagOptions options;
    options.sparse = sparse;
    options.scale_grad_by_freq = true;
    const Embedding embedding = Embedding::from_pretrained(kTable, false, options);
    backward(sum(embedding(ids) * tensor({2, 2, 1}, {1, 3, 6, 9})));
    check_values(dense(embedding.weight().grad()), {4, 2}, {1, 1, 0, 0, 6, 6, 0, 0});
    for (BagMode mode : kModes) {
      const EmbeddingBag bag = bag_of(kTable, mode, options);
      backward(sum(bag(ids) * tensor({2, 1}, {1, 10})));
      CHECK(std::holds_alternative<RowSparse>(bag.weight().grad()) == sparse);
      check_values(dense(bag.weight().grad()), {4, 2},
                   mode == BagMode::kSum    ? Numbers{1, 1, 0, 0, 7, 7, 0, 0}
                   : mode == BagMode::kMean ? Numbers{0.5, 0.5, 0, 0, 3.5, 3.5, 0, 0}
                                            : Numbers{0, 0, 0, 0, 11 / 3., 11 / 3., 0, 0});
    }
  }
}

#ifdef GRADWALK_DOUBLE
TEST_CASE("every option agrees with finite differences to second order", "[embedding]") {
  Generator g(6);
  const Indices ids = list({0, 2, 5, 0, 2, 3, 0, 2, 2}), offsets = list({0, 4, 4, 7});
  const Array table = normal({6, 3}, g);
  const Tensor w(normal({9}, g), true);
  const bool sparse = GENERATE(true, false), padded = GENERATE(true, false),
             bounded = GENERATE(true, false);
  EmbeddingBagOptions options;
  options.sparse = sparse;
  if (padded) options.padding_idx = 2;
  if (bounded) options.max_norm = 1;
  // At the bound there is a kink: the table is brought inside it.
  const auto shrink = [](Tensor weight) {
    for (Real& x : weight.mutable_value()) x *= Real(0.5);
  };
  const Embedding embedding = Embedding::from_pretrained(table, false, options);
  embedding(ids);
  shrink(embedding.weight());
  CHECK_NOTHROW(check_gradients([&] { return embedding(ids); }, embedding.parameters()));
  for (BagMode mode : kModes) {
    INFO(name_of(mode));
    const EmbeddingBag bag = bag_of(table, mode, options);
    bag(ids, offsets);
    shrink(bag.weight());
    CHECK_NOTHROW(check_gradients([&] { return bag(ids, offsets); }, {bag.weight()}));
    CHECK_NOTHROW(check_gradients(
        [&] {
          return bag(Indices{{0, 2, 3}, {2, 2, 2}});
        },
        {bag.weight()}));
    if (mode != BagMode::kSum) continue;
    CHECK_NOTHROW(check_gradients([&] { return bag(ids, offsets, w); }, {bag.weight(), w}));
  }
}

// Divided by counts the gradient is not the derivative any more, but it is still a function of the
// cotangent and of the weights of the samples, and has derivatives of its own.
TEST_CASE("gradients divided by counts agree with finite differences", "[embedding]") {
  Generator g(7);
  const Indices ids = list({0, 2, 5, 0, 2, 3, 0, 2, 2}), offsets = list({0, 4, 4, 7});
  const Tensor c(normal({4, 3}, g), true), w(normal({9}, g), true);
  const bool sparse = GENERATE(true, false);
  EmbeddingBagOptions options;
  options.sparse = sparse;
  options.scale_grad_by_freq = true;
  const Embedding embedding = Embedding::from_pretrained(normal({6, 3}, g), false, options);
  const auto slope = [](const Tensor& loss, const Tensor& weight) {
    return dense(gradients(loss, {weight}, true)[0]);
  };
  CHECK_NOTHROW(check_gradients(
      [&] {
        return slope(sum(embedding(Indices{2, 1, 2, 2}) * c), embedding.weight());
      },
      {c}));
  for (BagMode mode : kModes) {
    const EmbeddingBag bag = bag_of(embedding.weight().value(), mode, options);
    const Tensor weights = mode == BagMode::kSum ? w : Tensor();
    const Tensors leaves = mode == BagMode::kSum ? Tensors{c, w} : Tensors{c};
    CHECK_NOTHROW(check_gradients(
        [&] { return slope(sum(bag(ids, offsets, weights) * c), bag.weight()); }, leaves));
  }
}

TEST_CASE("a table looked up, in bags, and densely, in one graph", "[embedding]") {
  Generator g(8);
  const Indices ids = list({1, 4, 1, 0}), more = list({4, 4, 2}), offsets = list({0, 1});
  const Tensor x(normal({5, 3}, g), true), w(normal({3}, g), true);
  for (bool sparse : {true, false}) {
    EmbeddingBagOptions options;
    options.sparse = sparse;
    options.mode = BagMode::kMax;
    const EmbeddingBag bag = EmbeddingBag::from_pretrained(normal({5, 3}, g), false, options);
    // tied to an output layer, looked up twice in the hidden one
    CHECK_NOTHROW(check_gradients(
        [&] {
          const Tensor h = tanh(bag(more, offsets) * bag(ids, offsets));
          return linear(h, bag.weight(), {});
        },
        {bag.weight()}));
    // the table is the output of an op
    CHECK_NOTHROW(check_gradients(
        [&] {
          const Tensor table = x * x;
          const Tensor h = weighted_rows(table, more, list({0, 1, 1}), 2, w, sparse) *
                           gather_rows(table, list({0, 2}), {}, sparse) *
                           max_rows(table, ids, list({0, 1, 1, 0}), 2, sparse);
          return linear(h, table, {});
        },
        {x, w}));
  }
}
#endif

TEST_CASE("bags equal their twins made of small ops, to second order", "[embedding]") {
  Generator g(9);
  const double tolerance = sizeof(Real) == 4 ? 2e-4 : 1e-11;
  const auto close = [&](const Tensor& a, const Tensor& b) {
    REQUIRE(a.shape() == b.shape());
    for (std::size_t i = 0; i < a.size(); ++i)
      REQUIRE_THAT(double(a.value().data()[i]), WithinAbs(double(b.value().data()[i]), tolerance));
  };
  for (int round = 0; round < 200; ++round) {
    Case c = random_case(g);
    c.options.sparse = g.below(2);
    INFO("round " << round << ": " << describe(c));
    const EmbeddingBag bag = EmbeddingBag::from_pretrained(c.table, false, c.options);
    const bool weighted = c.options.mode == BagMode::kSum && g.below(2);
    const Tensor w = weighted ? Tensor(c.weights, true) : Tensor();
    const Tensor y = bag(c.ids, c.offsets, w);
    const Tensor table(bag.weight().value(), true), twin = composed(table, c, w);
    close(y, twin);
    const Tensor cotangent(normal(y.shape(), g)), v(normal(table.shape(), g)),
        vw(normal({c.ids.size()}, g));
    const auto made_dense = [](const Gradient& d, const Tensor& x) {
      return std::holds_alternative<std::monostate>(d) ? Tensor(full(x.shape(), 0)) : dense(d);
    };
    // first and second derivatives with respect to the table and the weights
    const auto derivatives = [&](const Tensor& out, const Tensor& of) {
      const Tensor row = gather_rows(of, list({0}));  // one more lookup
      Tensors xs{of}, all;
      if (weighted) xs.push_back(w);
      const Gradients first = gradients(sum(tanh(out) * cotangent) + sum(pow(row, 3)), xs, true);
      Tensor slope(full({}, 0));
      for (std::size_t k = 0; k < xs.size(); ++k) {
        all.push_back(made_dense(first[k], xs[k]));
        slope = slope + sum(all[k] * (k == 0 ? v : vw));
      }
      const Gradients second = gradients(slope, xs);
      for (std::size_t k = 0; k < xs.size(); ++k) all.push_back(made_dense(second[k], xs[k]));
      return all;
    };
    const Tensors ours = derivatives(y, bag.weight()), theirs = derivatives(twin, table);
    for (std::size_t k = 0; k < ours.size(); ++k) close(ours[k], theirs[k]);
  }
}

TEST_CASE("sparse and dense gradients train the same table", "[embedding]") {
  Generator g(10);
  for (int round = 0; round < 300; ++round) {
    Case c = random_case(g);
    INFO("round " << round << ": " << describe(c));
    const bool bags = g.below(2), weighted = c.options.mode == BagMode::kSum && g.below(2);
    const Array cotangent = normal({bags ? c.offsets.size() : c.ids.size(), c.table.shape()[1]}, g);
    Tensor trained[2];
    for (bool sparse : {false, true}) {
      c.options.sparse = sparse;
      const Embedding embedding = Embedding::from_pretrained(c.table, false, c.options);
      const EmbeddingBag bag = EmbeddingBag::from_pretrained(c.table, false, c.options);
      Tensor weight = bags ? bag.weight() : embedding.weight();
      const Tensor w = weighted ? Tensor(c.weights) : Tensor();
      SGD sgd({weight}, {0.5});
      for (int step = 0; step < 3; ++step) {
        sgd.zero_grad();
        const Tensor y = bags ? bag(c.ids, c.offsets, w) : embedding(c.ids);
        backward(sum(tanh(y) * Tensor(cotangent)));
        REQUIRE(std::holds_alternative<RowSparse>(weight.grad()) == sparse);
        sgd.step();
      }
      trained[sparse] = weight;
    }
    REQUIRE((trained[0].value() == trained[1].value()));  // to the last bit
  }
}

TEST_CASE("bags never lay out their rows, nor anything of the table's size", "[embedding]") {
  struct Largest : Observer {
    std::size_t size = 0;
    void on_forward(const char*, const Tensors&, const Tensors& ys) override {
      size = std::max(size, ys[0].size());
    }
  };
  const std::size_t V = 5000, N = 2, L = 300, D = 16;  // 600 ids, 20 different ones
  Generator g(11);
  Indices ids = full<Indices>({N, L}, 0);
  for (std::int64_t& id : ids) id = static_cast<std::int64_t>(g.below(20));
  for (BagMode mode : kModes) {
    EmbeddingBagOptions options;
    options.mode = mode;
    options.padding_idx = 3;
    options.max_norm = 2;
    options.scale_grad_by_freq = true;
    const EmbeddingBag bag(V, D, g, options);
    const Tensor w = mode == BagMode::kSum ? Tensor(normal({N, L}, g), true) : Tensor();
    Largest largest;
    const Tensor y = bag(ids, w);
    const Gradient first = gradients(sum(y * y), {bag.weight()}, true)[0];
    const Tensor& values = std::get<RowSparse>(first).values;
    gradients(sum(values * values), {bag.weight()});
    CHECK(largest.size <= N * L);  // the weights of the ids; their rows would be N * L * D
  }
}

TEST_CASE("what embeddings refuse, before anything is changed", "[embedding]") {
  using Outside = std::out_of_range;
  using Invalid = std::invalid_argument;
  Generator g(12);
  const std::uint64_t next = Generator(g).next();
  EmbeddingBagOptions options;
  const auto make = [&] { EmbeddingBag(5, 2, g, options); };
  options.padding_idx = 5;
  CHECK(error_of<Outside>(make) == "embedding_bag: padding_idx 5 is outside a table of 5 rows");
  options.padding_idx = -6;
  CHECK(error_of<Outside>(make) == "embedding_bag: padding_idx -6 is outside a table of 5 rows");
  CHECK(error_of<Outside>([&] { Embedding::from_pretrained(kTable, false, options); }) ==
        "embedding: padding_idx -6 is outside a table of 4 rows");
  options.padding_idx = -5;
  options.max_norm = 0;
  CHECK(error_of<Invalid>(make) == "embedding_bag: max_norm must be positive and finite, got 0");
  for (double bad : {-1., double(std::nan("")), std::numeric_limits<double>::infinity()}) {
    options.max_norm = bad;
    CHECK(error_of<Invalid>(make) ==
          message("embedding_bag: max_norm must be positive and finite, got ", bad));
  }
  options.max_norm = 2;
  options.norm_type = -1;
  CHECK(error_of<Invalid>(make) == "embedding_bag: norm_type must be positive, got -1");
  options.norm_type = 0;
  CHECK(error_of<Invalid>(make) == "embedding_bag: norm_type must be positive, got 0");
  CHECK(error_of<Invalid>([&] { Embedding::from_pretrained(full({3}, 0)); }) ==
        "embedding: the matrix must be [num_embeddings, embedding_dim], got [3]");
  CHECK(g.next() == next);

  options = {};
  options.max_norm = 1;
  options.mode = BagMode::kSum;
  const Embedding embedding = Embedding::from_pretrained(kTable, false, options);
  const EmbeddingBag bag = EmbeddingBag::from_pretrained(kTable, false, options);
  CHECK(error_of<Outside>([&] {
          embedding(Indices{{0, 1}, {2, 4}});
        }) == "embedding: index 4 at [1, 1] is outside a table of 4 rows");
  CHECK(error_of<Outside>([&] {
          bag(Indices{{0, 1}, {2, -1}});
        }) == "embedding_bag: index -1 at [1, 1] is outside a table of 4 rows");
  const Indices ids = list({0, 1, 2});
  const auto offsets = [&](const std::vector<std::int64_t>& values) {
    return error_of<Outside>([&] { bag(ids, list(values)); });
  };
  CHECK(error_of<Outside>([&] {
          bag(list({0, 1, 9}), list({0}));
        }) == "embedding_bag: index 9 at [2] is outside a table of 4 rows");
  CHECK(offsets({1, 2}) == "embedding_bag: offset 1 at [0] must be within 0..0");
  CHECK(offsets({0, 2, 1}) == "embedding_bag: offset 1 at [2] must be within 2..3");
  CHECK(offsets({0, 4}) == "embedding_bag: offset 4 at [1] must be within 0..3");
  CHECK(offsets({-1, 2}) == "embedding_bag: offset -1 at [0] must be within 0..0");
  CHECK(error_of<Invalid>([&] { bag(ids, list({})); }) ==
        "embedding_bag: 3 ids need at least 1 offsets, got 0");
  CHECK(bag(list({}), list({})).shape() == Shape{0, 2});
  CHECK(error_of<Invalid>([&] { bag(ids); }) ==
        "embedding_bag: ids without offsets must be [N, L], got [3]");
  CHECK(error_of<Invalid>([&] {
          bag(Indices{{0, 1}}, list({0}));
        }) == "embedding_bag: ids and offsets must be [n] and [N], got [1, 2] and [1]");
  CHECK(error_of<Invalid>([&] {
          bag(ids, list({0}), tensor({2}, {1, 1}));
        }) == "embedding_bag: per_sample_weights must be shaped as the ids, [3], got [2]");
  options.include_last_offset = true;
  const EmbeddingBag last = EmbeddingBag::from_pretrained(kTable, false, options);
  CHECK(error_of<Outside>([&] {
          last(ids, list({0, 2}));
        }) == "embedding_bag: offset 2 at [1] must be within 3..3");
  CHECK(error_of<Invalid>([&] { last(ids, list({0})); }) ==
        "embedding_bag: 3 ids need at least 2 offsets, got 1");
  CHECK(error_of<Invalid>([&] { last(list({}), list({})); }) ==
        "embedding_bag: 0 ids need at least 1 offsets, got 0");
  CHECK(error_of<Invalid>([&] {
          bag_of(kTable, BagMode::kMean)(ids, list({0}), tensor({3}, {1, 1, 1}));
        }) == "embedding_bag: per_sample_weights need the mode sum");
  for (const EmbeddingTable* layer :
       {static_cast<const EmbeddingTable*>(&embedding), static_cast<const EmbeddingTable*>(&bag)}) {
    CHECK(layer->weight().node()->changed == 0);
    CHECK((layer->weight().value() == kTable));
  }
  // real numbers are refused when the program is compiled
  static_assert(std::is_invocable_v<const Embedding&, const Indices&>);
  static_assert(!std::is_invocable_v<const Embedding&, const Array&>);
  static_assert(!std::is_invocable_v<const Embedding&, xt::xarray<double>>);
  static_assert(std::is_invocable_v<const EmbeddingBag&, Indices&, Indices>);
  static_assert(!std::is_invocable_v<const EmbeddingBag&, const Array&>);
  static_assert(!std::is_invocable_v<const EmbeddingBag&, Array, const Indices&>);
}

// ---- docs/embedding.md ----
TEST_CASE("the snippets of the page on embeddings", "[embedding]") {
  Generator generator(1);
  EmbeddingOptions options;
  options.padding_idx = 0;
  options.max_norm = 10;
  const Embedding embedding(10000, 128, generator, options);
  const Tensor y = embedding(Indices{{2, 7, 435}, {9, 0, 0}});  // [2, 3, 128]
  CHECK(y.shape() == Shape{2, 3, 128});

  const Array matrix = kTable;
  const Indices ids{0, 3};
  const Embedding frozen = Embedding::from_pretrained(matrix);
  const Embedding tuned = Embedding::from_pretrained(matrix, false);
  CHECK_FALSE(frozen(ids).requires_grad());

  const Tensor logits = linear(tuned(ids), tuned.weight(), {});
  CHECK(logits.shape() == Shape{2, 4});
  backward(sum(logits));
  CHECK(std::holds_alternative<Tensor>(tuned.weight().grad()));

  EmbeddingBagOptions bag_options;
  bag_options.mode = BagMode::kSum;
  const EmbeddingBag bag(10, 2, generator, bag_options);
  const Tensor pairs = bag(Indices{{0, 1}, {2, 2}});                    // two bags of two ids
  const Tensor pieces = bag(Indices{0, 1, 2, 2, 4}, Indices{0, 2, 2});  // 0 1, none, 2 2 4
  const Array& table = bag.weight().value();
  CHECK_THAT(double(pairs.value()(1, 0)), WithinRel(2 * double(table(2, 0)), 1e-6));
  CHECK(pieces.shape() == Shape{3, 2});
  CHECK(pieces.value()(1, 0) == 0);
}
