// Every op: its derivatives against finite differences, its values against numbers worked out by
// hand, and the texts of its errors.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <typeinfo>

#include "core/core.hpp"
#include "core/ops/conv.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

using Xs = std::vector<Tensor>;
constexpr bool kFloat = sizeof(Real) == 4;
constexpr double kTolerance = kFloat ? 3e-6 : 1e-12;

Array array(const Shape& shape, std::vector<double> values) {
  Array a = empty(shape);
  REQUIRE(values.size() == a.size());
  std::copy(values.begin(), values.end(), a.data());
  return a;
}

Tensor tensor(const Shape& shape, std::vector<double> values) {
  return Tensor(array(shape, std::move(values)));
}

Indices ids(const Shape& shape, std::vector<std::int64_t> values) {
  Indices a = empty<Indices>(shape);
  REQUIRE(values.size() == a.size());
  std::copy(values.begin(), values.end(), a.data());
  return a;
}

void check_values(const Tensor& y, const Shape& shape, const std::vector<double>& values) {
  CHECK(y.shape() == shape);
  REQUIRE(y.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    INFO("element " << i);
    CHECK_THAT(double(y.value().data()[i]),
               WithinAbs(values[i], kTolerance * (1 + std::abs(values[i]))));
  }
}

template <class F>
std::string invalid(F f) {
  return error_of<std::invalid_argument>(f);
}
template <class F>
std::string outside(F f) {
  return error_of<std::out_of_range>(f);
}

// ---- the table ----

struct Row {
  std::string name;  // the function's name first
  std::function<Tensor(const Xs&)> f;
  std::vector<Array> inputs;
};

Array rnd(const Shape& shape, double low = -1.5, double high = 1.5) {
  static Generator generator(7);
  return uniform(shape, Real(low), Real(high), generator);
}

// Distinct numbers at least 0.3 apart and away from 0, in a shuffled order; different offsets (0,
// 0.1) never meet. For ops with kinks at 0 or at ties.
Array spread(const Shape& shape, double offset = 0) {
  static Generator generator(8);
  Array a = empty(shape);
  std::vector<std::size_t> order(a.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  generator.shuffle(order);
  for (std::size_t i = 0; i < order.size(); ++i) {
    a.data()[i] = Real(0.3 * (double(order[i]) - double(order.size() / 2)) + 0.15 + offset);
  }
  return a;
}

// Index arithmetic: the place of a number as one index for each axis, and back. An axis of length 1
// repeats, as does a leading one that is missing.
Shape index_of(std::size_t at, const Shape& shape) {
  Shape index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0; at /= shape[axis])
    index[axis] = at % shape[axis];
  return index;
}
std::size_t place_of(const Shape& index, const Shape& shape) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < shape.size(); ++i)
    at = at * shape[i] + (shape[i] == 1 ? 0 : index[index.size() - shape.size() + i]);
  return at;
}

// One to four short axes, one of them long enough for blocks, vectors and remainders.
Shape random_shape(Generator& generator) {
  Shape shape(1 + generator.below(4));
  for (std::size_t& n : shape) n = 1 + generator.below(5);
  shape[generator.below(shape.size())] *= 1 + generator.below(150);
  return shape;
}

void add_elementwise(std::vector<Row>& rows) {
  const std::vector<std::pair<Shape, Shape>> pairs{
      {{2, 3}, {2, 3}},    {{2, 3}, {3}},    {{2, 1}, {1, 3}}, {{}, {}},
      {{}, {2, 2}},        {{0, 3}, {0, 3}}, {{0, 3}, {3}},    {{1}, {1, 1}},
      {{2, 1, 3}, {4, 1}}, {{2, 0}, {1}}};
  for (const auto& [a, b] : pairs) {
    const std::string at = message(' ', a, ' ', b);
    rows.push_back({"operator+" + at, [](const Xs& x) { return x[0] + x[1]; }, {rnd(a), rnd(b)}});
    rows.push_back({"operator-" + at, [](const Xs& x) { return x[0] - x[1]; }, {rnd(a), rnd(b)}});
    rows.push_back({"operator*" + at, [](const Xs& x) { return x[0] * x[1]; }, {rnd(a), rnd(b)}});
    rows.push_back(
        {"operator/" + at, [](const Xs& x) { return x[0] / x[1]; }, {rnd(a), rnd(b, 0.5, 2)}});
    rows.push_back({"operator/ by negatives" + at,
                    [](const Xs& x) { return x[0] / x[1]; },
                    {rnd(a), rnd(b, -2, -0.5)}});
    rows.push_back({"maximum" + at,
                    [](const Xs& x) { return maximum(x[0], x[1]); },
                    {spread(a), spread(b, 0.1)}});
    rows.push_back({"minimum" + at,
                    [](const Xs& x) { return minimum(x[0], x[1]); },
                    {spread(a), spread(b, 0.1)}});
    for (const Shape& m : {Shape{}, Shape{1}, b}) {
      Array mask = spread(m);
      for (Real& v : mask) v = v > 0;
      rows.push_back({"where" + at + message(" mask ", m),
                      [mask](const Xs& x) { return where(Tensor(mask), x[0], x[1]); },
                      {rnd(a), rnd(b)}});
    }
  }
  rows.push_back({"operator* of itself", [](const Xs& x) { return x[0] * x[0]; }, {rnd({3})}});
  rows.push_back(
      {"operator/ of itself", [](const Xs& x) { return (x[0] + 3) / x[0]; }, {rnd({3}, 1, 2)}});
  for (const Shape& s : {Shape{}, Shape{1}, Shape{2, 3}, Shape{0, 2}, Shape{2, 1, 2}}) {
    const std::string at = message(' ', s);
    const auto one = [&](const std::string& name, std::function<Tensor(const Tensor&)> f, Array x) {
      rows.push_back({name + at, [f](const Xs& xs) { return f(xs[0]); }, {std::move(x)}});
    };
    one(
        "operator- negation", [](const Tensor& x) { return -x; }, rnd(s));
    one(
        "operator* scale", [](const Tensor& x) { return x * Real(-2.5) + Real(3) * x; }, rnd(s));
    one(
        "operator+ shift", [](const Tensor& x) { return x + Real(1.25); }, rnd(s));
    one(
        "operator+ of 1", [](const Tensor& x) { return 1 + x; }, rnd(s));
    one(
        "operator/ of 3", [](const Tensor& x) { return 3 / x; }, rnd(s, -2, -0.5));
    for (double p : {0., 1., 2., 3., -1., -2., 0.5, 1.7}) {
      one(
          message("pow ", p), [p](const Tensor& x) { return pow(x, Real(p)); }, rnd(s, 0.5, 2));
    }
    one(
        "pow 3 of negatives", [](const Tensor& x) { return pow(x, 3); }, rnd(s, -2, -0.5));
    one(
        "exp", [](const Tensor& x) { return exp(x); }, rnd(s));
    one(
        "log", [](const Tensor& x) { return log(x); }, rnd(s, 0.5, 3));
    one(
        "sqrt", [](const Tensor& x) { return sqrt(x); }, rnd(s, 0.5, 3));
    one(
        "abs", [](const Tensor& x) { return abs(x); }, spread(s));
    one(
        "tanh", [](const Tensor& x) { return tanh(x); }, rnd(s, -3, 3));
    one(
        "sigmoid", [](const Tensor& x) { return sigmoid(x); }, rnd(s, -4, 4));
    one(
        "relu", [](const Tensor& x) { return relu(x); }, spread(s));
    one(
        "leaky_relu", [](const Tensor& x) { return leaky_relu(x, Real(0.2)); }, spread(s));
    one(
        "clamp", [](const Tensor& x) { return clamp(x, Real(-0.3), Real(0.6)); }, spread(s));
    one(
        "erf", [](const Tensor& x) { return erf(x); }, rnd(s));
    one(
        "softplus", [](const Tensor& x) { return softplus(x); }, rnd(s, -4, 4));
    one(
        "silu", [](const Tensor& x) { return silu(x); }, rnd(s, -4, 4));
    one(
        "gelu", [](const Tensor& x) { return gelu(x); }, rnd(s, -3, 3));
    for (double p : {0., 0.4}) {
      // a generator of f's own: the same mask at every call
      const auto f = [p](const Tensor& x) {
        Generator generator(3);
        return dropout(x, p, generator);
      };
      one(message("dropout ", p), f, rnd(s));
    }
  }
  rows.push_back({"masked_fill",
                  [](const Xs& x) {
                    return masked_fill(x[0], tensor({3}, {0, 1, 0}), Real(-9));
                  },
                  {rnd({2, 3})}});
  rows.push_back({"masked_fill all",
                  [](const Xs& x) { return masked_fill(x[0], tensor({}, {1}), Real(2)) + x[0]; },
                  {rnd({2, 3})}});
}

void add_shape(std::vector<Row>& rows) {
  const auto one = [&](const std::string& name, const Shape& s,
                       std::function<Tensor(const Tensor&)> f) {
    rows.push_back({name + message(' ', s), [f](const Xs& x) { return f(x[0]); }, {rnd(s)}});
  };
  one("reshape", {2, 3}, [](const Tensor& x) { return reshape(x, {3, 1, 2}); });
  one("reshape", {}, [](const Tensor& x) { return reshape(x, {1, 1}); });
  one("reshape", {0, 2}, [](const Tensor& x) { return reshape(x, {3, 0}); });
  one("squeeze", {2, 1, 3}, [](const Tensor& x) { return squeeze(x, 1); });
  one("unsqueeze", {2, 3}, [](const Tensor& x) { return unsqueeze(x, 2); });
  one("flatten", {2, 3, 2}, [](const Tensor& x) { return flatten(x, 1); });
  one("flatten", {}, [](const Tensor& x) { return flatten(x); });
  one("select", {2, 3, 2}, [](const Tensor& x) { return select(x, 1, 2); });
  one("permute", {2, 3, 4}, [](const Tensor& x) {
    return permute(x, {2, 0, 1});
  });  // not its own inverse
  one("permute", {2, 1, 2, 3}, [](const Tensor& x) { return permute(x, {1, 2, 3, 0}); });
  one("permute", {}, [](const Tensor& x) { return permute(x, {}); });
  one("permute", {0, 2}, [](const Tensor& x) { return permute(x, {1, 0}); });
  one("transpose", {2, 3}, [](const Tensor& x) { return transpose(x); });
  one("transpose", {2, 3, 4}, [](const Tensor& x) { return transpose(x, 0, 2); });
  one("slice", {4, 2}, [](const Tensor& x) { return slice(x, 0, 1, 3); });
  one("slice", {2, 4, 3}, [](const Tensor& x) { return slice(x, 1, 1, 4); });
  one("slice nothing", {2, 4}, [](const Tensor& x) { return slice(x, 1, 2, 2); });
  one("slice all", {3}, [](const Tensor& x) { return slice(x, 0, 0, 3); });
  one("pad", {2, 3}, [](const Tensor& x) { return pad(x, 0, 1, 2); });
  one("pad", {2, 1, 2}, [](const Tensor& x) { return pad(x, 1, 2, 0); });
  one("pad", {0, 2}, [](const Tensor& x) { return pad(x, 0, 1, 1); });
  one("split", {5, 2}, [](const Tensor& x) {  // pieces of 2, 2 and 1; one is left unused
    const std::vector<Tensor> parts = split(x, 2, 0);
    return parts[0] * parts[1];
  });
  one("split", {2, 5}, [](const Tensor& x) { return split(x, 2, 1)[2]; });
  rows.push_back({"concat",
                  [](const Xs& x) { return concat(x, 0); },
                  {rnd({1, 2}), rnd({3, 2}), rnd({0, 2})}});
  rows.push_back(
      {"concat", [](const Xs& x) { return concat(x, 1); }, {rnd({2, 1, 2}), rnd({2, 2, 2})}});
  rows.push_back({"concat of one tensor twice",
                  [](const Xs& x) {
                    return concat({x[0], x[1], x[0]}, 0);
                  },
                  {rnd({2}), rnd({1})}});
  for (std::size_t axis : {0, 1, 2}) {
    rows.push_back({message("stack ", axis),
                    [axis](const Xs& x) { return stack(x, axis); },
                    {rnd({2, 3}), rnd({2, 3})}});
  }
  rows.push_back({"stack scalars", [](const Xs& x) { return stack(x, 0); }, {rnd({}), rnd({})}});
  const std::vector<std::pair<Shape, Shape>> pairs{
      {{3}, {2, 3}},          {{2, 1}, {2, 3}},       {{}, {2, 2}}, {{1}, {0}},
      {{1, 3, 1}, {2, 3, 4}}, {{2, 1, 2}, {2, 3, 2}}, {{2}, {2}}};
  for (const auto& [narrow, wide] : pairs) {
    one("broadcast_to", narrow, [wide = wide](const Tensor& x) { return broadcast_to(x, wide); });
    one("sum_to", wide, [narrow = narrow](const Tensor& x) { return sum_to(x, narrow); });
  }
}

void add_reductions(std::vector<Row>& rows) {
  for (const Shape& s : {Shape{}, Shape{1}, Shape{2, 3}, Shape{2, 1, 4}}) {
    const std::string at = message(' ', s);
    rows.push_back({"sum" + at, [](const Xs& x) { return sum(x[0]); }, {rnd(s)}});
    rows.push_back({"mean" + at, [](const Xs& x) { return mean(x[0]); }, {rnd(s)}});
    rows.push_back({"max" + at, [](const Xs& x) { return max(x[0]); }, {spread(s)}});
    rows.push_back({"min" + at, [](const Xs& x) { return min(x[0]); }, {spread(s)}});
    if (size_of(s) > 1)
      rows.push_back({"var" + at, [](const Xs& x) { return var(x[0]); }, {rnd(s)}});
  }
  rows.push_back({"sum of nothing", [](const Xs& x) { return sum(x[0]); }, {rnd({0, 2})}});
  rows.push_back({"sum [3, 0] over 1", [](const Xs& x) { return sum(x[0], {1}); }, {rnd({3, 0})}});
  rows.push_back(
      {"mean [3, 0] over 0", [](const Xs& x) { return mean(x[0], {0}); }, {rnd({3, 0})}});
  using Axes = std::vector<std::size_t>;
  for (const Axes& axes : {Axes{0}, Axes{1}, Axes{2}, Axes{0, 2}, Axes{2, 1}, Axes{}}) {
    for (bool keepdim : {false, true}) {
      const std::string at = message(" over ", axes, keepdim ? " keepdim" : "");
      rows.push_back(
          {"sum" + at, [=](const Xs& x) { return sum(x[0], axes, keepdim); }, {rnd({2, 3, 2})}});
      rows.push_back(
          {"mean" + at, [=](const Xs& x) { return mean(x[0], axes, keepdim); }, {rnd({2, 3, 2})}});
      rows.push_back(
          {"max" + at, [=](const Xs& x) { return max(x[0], axes, keepdim); }, {spread({2, 3, 2})}});
      rows.push_back(
          {"min" + at, [=](const Xs& x) { return min(x[0], axes, keepdim); }, {spread({2, 3, 2})}});
      rows.push_back({"var" + at,
                      [=](const Xs& x) { return var(x[0], axes, axes.size() == 2, keepdim); },
                      {rnd({2, 3, 2})}});
    }
  }
  for (const Shape& s : {Shape{3}, Shape{2, 3}, Shape{2, 3, 4}, Shape{0, 3}, Shape{3, 1}}) {
    for (std::size_t axis = 0; axis < s.size(); ++axis) {
      const std::string at = message(' ', s, " over ", axis);
      rows.push_back({"softmax" + at, [=](const Xs& x) { return softmax(x[0], axis); }, {rnd(s)}});
      rows.push_back(
          {"log_softmax" + at, [=](const Xs& x) { return log_softmax(x[0], axis); }, {rnd(s)}});
    }
  }
}

void add_products(std::vector<Row>& rows) {
  struct Sizes {
    std::size_t n, k, m;
  };
  for (const Sizes& s : {Sizes{2, 3, 4}, Sizes{1, 1, 1}, Sizes{0, 3, 2}, Sizes{2, 0, 3}}) {
    for (int flags = 0; flags < 4; ++flags) {
      const bool ta = flags & 1, tb = flags & 2;
      const Shape a = ta ? Shape{s.k, s.n} : Shape{s.n, s.k},
                  b = tb ? Shape{s.m, s.k} : Shape{s.k, s.m};
      const std::string at = message(' ', a, ta ? "^T " : " ", b, tb ? "^T" : "");
      const auto f = [=](const Xs& x) { return matmul(x[0], x[1], ta, tb); };
      rows.push_back({"matmul" + at, f, {rnd(a), rnd(b)}});
      rows.push_back({"matmul batched" + at, f, {rnd({2, a[0], a[1]}), rnd({2, b[0], b[1]})}});
    }
  }
  rows.push_back({"matmul with itself",
                  [](const Xs& x) { return matmul(x[0], x[0], true, false); },
                  {rnd({2, 3})}});
  for (const Shape& s : {Shape{3}, Shape{2, 3}, Shape{2, 2, 3}, Shape{0, 3}, Shape{1, 3}}) {
    const std::string at = message(' ', s);
    rows.push_back({"linear" + at,
                    [](const Xs& x) { return linear(x[0], x[1], x[2]); },
                    {rnd(s), rnd({2, 3}), rnd({2})}});
    rows.push_back({"linear without bias" + at,
                    [](const Xs& x) { return linear(x[0], x[1], {}); },
                    {rnd(s), rnd({2, 3})}});
  }
}

void add_lookups(std::vector<Row>& rows) {
  struct Lookup {
    Shape shape;
    std::vector<std::int64_t> ids;
  };
  for (const Lookup& l :
       {Lookup{{4}, {2, 0, 2, 2}}, Lookup{{2, 3}, {1, 4, 1, 0, 1, 4}}, Lookup{{0}, {}},
        Lookup{{}, {3}}, Lookup{{2, 0}, {}}, Lookup{{1, 1, 1}, {0}}}) {
    for (std::int64_t padding : {-1, 1, 2}) {
      for (bool sparse : {true, false}) {
        const Indices at = ids(l.shape, l.ids);
        // Differences cannot see "reads the row but gives it no gradient", so here that row counts
        // for nothing; a test of its own is below.
        const auto f = [=](const Xs& x) {
          Array still = full({5, 1}, 1);
          if (padding >= 0) still.data()[padding] = 0;
          return gather_rows(x[0] * Tensor(still), at,
                             padding < 0 ? std::nullopt : std::optional(padding), sparse);
        };
        rows.push_back(
            {message("gather_rows ", l.shape, " padding ", padding, sparse ? " sparse" : ""),
             f,
             {rnd({5, 2})}});
      }
    }
    if (l.shape.size() == 1) {
      const Indices at = ids(l.shape, l.ids);
      rows.push_back({message("scatter_rows ", l.shape),
                      [=](const Xs& x) { return scatter_rows(x[0], at, 5); },
                      {rnd({l.ids.size(), 2})}});
      rows.push_back({message("scatter_rows of numbers ", l.shape),
                      [=](const Xs& x) { return scatter_rows(x[0], at, 6); },
                      {rnd({l.ids.size()})}});
      rows.push_back({message("scatter_rows of matrices ", l.shape),
                      [=](const Xs& x) { return scatter_rows(x[0], at, 5); },
                      {rnd({l.ids.size(), 2, 2})}});
    }
  }
  rows.push_back({"gather_rows of numbers",
                  [](const Xs& x) {
                    return gather_rows(x[0], ids({3}, {1, 1, 0}));
                  },
                  {rnd({3})}});
  rows.push_back({"gather_rows twice and densely",
                  [](const Xs& x) {
                    return matmul(gather_rows(x[0], ids({3}, {1, 1, 0})) *
                                      gather_rows(x[0], ids({3}, {2, 1, 3})),
                                  x[0], false, true);
                  },
                  {rnd({4, 2})}});
}

void add_bags(std::vector<Row>& rows) {
  struct Bags {
    std::vector<std::int64_t> in, out;
  };
  // repeated rows, a row more than once in one bag, an empty bag (1); nothing at all
  for (const Bags& b : {Bags{{2, 0, 2, 4, 2, 3}, {0, 0, 2, 3, 0, 3}}, Bags{{}, {}}}) {
    const std::size_t n = b.in.size();
    const Indices in = ids({n}, b.in), out = ids({n}, b.out);
    for (bool sparse : {true, false}) {
      const std::string at = message(' ', n, sparse ? " sparse" : "");
      rows.push_back({"weighted_rows" + at,
                      [=](const Xs& x) { return weighted_rows(x[0], in, out, 4, x[1], sparse); },
                      {rnd({5, 2}), rnd({n})}});
      rows.push_back({"weighted_rows of constant weights" + at,
                      [=](const Xs& x) {
                        return weighted_rows(x[0], in, out, 4, Tensor(full({n}, 3)), sparse);
                      },
                      {rnd({5, 2})}});
      rows.push_back({"weighted_rows of a constant table" + at,
                      [=](const Xs& x) {
                        return weighted_rows(Tensor(full({5, 2}, 3)), in, out, 4, x[0], sparse);
                      },
                      {rnd({n})}});
      rows.push_back({"row_dots" + at,
                      [=](const Xs& x) { return row_dots(x[0], in, x[1], out, sparse); },
                      {rnd({5, 2}), rnd({4, 2})}});
      rows.push_back({"max_rows" + at,
                      [=](const Xs& x) { return max_rows(x[0], in, out, 4, sparse); },
                      {spread({5, 2})}});
    }
  }
  const Indices in = ids({4}, {1, 2, 1, 0}), out = ids({4}, {1, 0, 1, 3});
  rows.push_back({"weighted_rows and max_rows of products",  // x and w count more than once
                  [=](const Xs& x) {
                    return weighted_rows(x[0] * x[0], in, out, 4, x[1] * x[1]) *
                           max_rows(x[0], out, in, 4) * gather_rows(x[0], out);
                  },
                  {spread({4, 2}), rnd({4})}});
  rows.push_back({"row_dots with itself",
                  [=](const Xs& x) { return row_dots(x[0], in, x[0], out); },
                  {rnd({4, 3})}});
}

void add_convolutions(std::vector<Row>& rows) {
  struct Windows {
    std::size_t N, C, L, K, stride, dilation;
  };
  // overlapping, apart, with elements that no window reads, of one element, of nothing
  for (const Windows& w :
       {Windows{2, 3, 6, 3, 1, 1}, Windows{2, 2, 7, 2, 3, 1}, Windows{1, 2, 8, 3, 2, 2},
        Windows{2, 1, 3, 1, 1, 1}, Windows{1, 1, 5, 5, 1, 1}, Windows{0, 2, 4, 2, 1, 1}}) {
    const std::string at =
        message(' ', Shape{w.N, w.C, w.L}, " kernel ", w.K, ' ', w.stride, ' ', w.dilation);
    const auto windows = [w](const Tensor& x) { return unfold(x, w.K, w.stride, w.dilation); };
    const Array input = rnd({w.N, w.C, w.L});
    rows.push_back({"unfold" + at, [=](const Xs& x) { return windows(x[0]); }, {input}});
    rows.push_back({"fold" + at,
                    [=](const Xs& x) { return fold(x[0], w.L, w.K, w.stride, w.dilation); },
                    {rnd(windows(Tensor(input)).shape())}});
    for (std::size_t padding : {0, 2}) {
      rows.push_back(
          {message("conv1d", at, " padding ", padding),
           [=](const Xs& x) { return conv1d(x[0], x[1], x[2], w.stride, padding, w.dilation); },
           {input, rnd({2, w.C, w.K}), rnd({2})}});
    }
    rows.push_back({"conv1d without bias" + at,
                    [=](const Xs& x) { return conv1d(x[0], x[1], {}, w.stride, 1, w.dilation); },
                    {input, rnd({2, w.C, w.K})}});
  }
  const Slide slide{5, 2, 4, 1, 3};  // one window meets no padding
  rows.push_back({"conv1d_output",
                  [=](const Xs& x) { return conv1d_output(slide, x[0], x[1], x[2]); },
                  {rnd({2, 3, 5}), rnd({2, 4, 3}), rnd({4})}});
  rows.push_back({"conv1d_input",
                  [=](const Xs& x) { return conv1d_input(slide, x[0], x[1]); },
                  {rnd({2, 4, 4}), rnd({2, 4, 3})}});
  rows.push_back({"conv1d_weight",
                  [=](const Xs& x) { return conv1d_weight(slide, x[0], x[1]); },
                  {rnd({2, 3, 5}), rnd({2, 4, 4})}});
}

const Reduction kReductions[] = {Reduction::kNone, Reduction::kMean, Reduction::kSum};

void add_losses(std::vector<Row>& rows) {
  int number = 0;
  for (Reduction reduction : kReductions) {
    for (bool weighted : {false, true}) {
      for (double smoothing : {0., 0.3, 1.}) {
        CrossEntropyOptions o;
        o.reduction = reduction;
        if (weighted) o.weight = array({3}, {0.5, 2, 1.25});
        o.ignore_index = 1;
        const Indices targets = ids({4}, {2, 0, 1, 2});
        if (smoothing == 0) {
          rows.push_back({message("nll_loss ", number++),
                          [=](const Xs& x) { return nll_loss(x[0], targets, o); },
                          {rnd({4, 3})}});
        }
        o.label_smoothing = smoothing;
        rows.push_back({message("softmax_cross_entropy ", number++),
                        [=](const Xs& x) { return softmax_cross_entropy(x[0], targets, o); },
                        {rnd({4, 3})}});
      }
    }
    for (const Shape& p : {Shape{}, Shape{3}, Shape{2, 1}}) {
      const Array targets = array({2, 3}, {0, 1, 0.25, 1, 0, 0.5}), pos_weight = rnd(p, 0.5, 3);
      rows.push_back(
          {message("bce_with_logits ", number++),
           [=](const Xs& x) { return bce_with_logits(x[0], targets, pos_weight, reduction); },
           {rnd({2, 3}, -3, 3)}});
    }
    rows.push_back({message("mse_loss ", number++),
                    [=](const Xs& x) { return mse_loss(x[0], x[1], reduction); },
                    {rnd({2, 3}), rnd({2, 3})}});
    rows.push_back({message("reduce ", number++),
                    [=](const Xs& x) { return reduce(x[0], reduction); },
                    {rnd({2, 3})}});
  }
  rows.push_back({"softmax_cross_entropy of one row",
                  [](const Xs& x) { return softmax_cross_entropy(x[0], ids({1}, {0})); },
                  {rnd({1, 2})}});
  rows.push_back({"softmax_cross_entropy of no rows",
                  [](const Xs& x) {
                    CrossEntropyOptions o;
                    o.reduction = Reduction::kSum;
                    return softmax_cross_entropy(x[0], ids({0}, {}), o);
                  },
                  {rnd({0, 2})}});
  rows.push_back({"bce_with_logits of a scalar",
                  [](const Xs& x) { return bce_with_logits(x[0], array({}, {1})); },
                  {rnd({})}});
}

void add_lstm(std::vector<Row>& rows) {
  struct Case {
    std::size_t T, N, D, H;
    Lengths lengths;
    bool states = false;
    std::size_t directions = 1;
  };
  for (const Case& c : {Case{3, 2, 2, 2, {}}, Case{3, 3, 2, 2, {1, 3, 2}}, Case{3, 2, 1, 2, {3, 1}},
                        Case{1, 2, 2, 2, {}}, Case{2, 1, 2, 2, {2}}, Case{2, 2, 2, 1, {1, 2}},
                        Case{2, 2, 3, 2, {1, 1}}, Case{2, 0, 2, 1, {}}, Case{2, 2, 2, 1, {}, true},
                        Case{3, 3, 2, 2, {1, 3, 2}, true}, Case{2, 2, 2, 1, {}, true, 2},
                        Case{3, 3, 2, 2, {1, 3, 2}, true, 2}, Case{3, 2, 1, 2, {3, 1}, false, 2}}) {
    std::vector<Array> inputs{rnd({c.T, c.N, c.D})};
    for (std::size_t d = 0; d < c.directions; ++d)
      inputs.insert(inputs.end(),
                    {rnd({4 * c.H, c.D}), rnd({4 * c.H, c.H}), rnd({4 * c.H}), rnd({4 * c.H})});
    const Shape state{c.N, c.directions * c.H};
    if (c.states) inputs.insert(inputs.end(), {rnd(state), rnd(state)});
    for (int which = 0; which < 3; ++which) {
      for (bool fused : {true, false}) {
        const auto f = [=](const Xs& x) {
          Directions directions;
          std::size_t k = 1;
          for (; directions.size() < c.directions; k += 4)
            directions.push_back({x[k], x[k + 1], x[k + 2], x[k + 3], {}});
          const Tensor h_0 = c.states ? x[k] : Tensor(), c_0 = c.states ? x[k + 1] : Tensor();
          const LstmOutput out = fused ? lstm(x[0], directions, c.lengths, h_0, c_0)
                                       : lstm_composed(x[0], directions, c.lengths, h_0, c_0);
          return which == 0 ? out.output : which == 1 ? out.h_n : out.c_n;
        };
        rows.push_back(
            {message(fused ? "lstm " : "lstm_composed ", Shape{c.T, c.N, c.D, c.H, c.directions},
                     " lengths ", c.lengths, " out ", which),
             f, inputs});
      }
    }
  }
}

void add_recurrent(std::vector<Row>& rows) {
  const auto parameters = [](const Xs& x) {
    return RecurrentParameters{x[1], x[2], x[3], x[4], x.size() > 6 ? x[6] : Tensor()};
  };
  const auto inputs = [](std::size_t gates, std::size_t R) {
    return std::vector<Array>{rnd({3, 2}),      rnd({gates * 2, 2}), rnd({gates * 2, R}),
                              rnd({gates * 2}), rnd({gates * 2}),    rnd({3, R})};
  };
  for (Nonlinearity f : {Nonlinearity::kTanh, Nonlinearity::kRelu}) {
    std::vector<Array> xs = inputs(1, 2);
    if (f == Nonlinearity::kRelu) xs[3] = {11, -11};  // no sum comes near the kink at 0
    rows.push_back({message("rnn_cell ", int(f)),
                    [=](const Xs& x) { return rnn_cell(x[0], x[5], parameters(x), f); }, xs});
  }
  rows.push_back(
      {"gru_cell", [=](const Xs& x) { return gru_cell(x[0], x[5], parameters(x)); }, inputs(3, 2)});
  std::vector<Array> projected = inputs(4, 1);
  projected.push_back(rnd({1, 2}));
  for (bool h : {true, false}) {
    const auto f = [=](const Xs& x) {
      const LstmState s = lstm_cell(x[0], {x[5], {}}, parameters(x));
      return h ? s.h : s.c;
    };
    rows.push_back({message("lstm_cell ", h), f, inputs(4, 2)});
    if (h) rows.push_back({"lstm_cell projected", f, projected});  // c needs no weight_hr
  }
  for (const Lengths& lengths : {Lengths{}, Lengths{2, 3, 1}}) {
    rows.push_back({message("reverse_sequences ", lengths),
                    [=](const Xs& x) { return reverse_sequences(x[0], lengths); },
                    {rnd({3, 3, 2})}});
    const auto square = [](const Tensor& x_t, const Tensors& state) -> Tensors {
      return {x_t * x_t + state[0] * x_t};
    };
    for (std::size_t cells : {1, 2}) {
      for (bool output : {true, false})
        rows.push_back({message("unroll ", cells, lengths, output),
                        [=](const Xs& x) {
                          const Unrolled u =
                              unroll(std::vector<Cell>(cells, square), x[0], {x[1]}, lengths);
                          return output ? u.output : u.state[0];
                        },
                        {rnd({3, 3, 2}), rnd({3, 2 * cells})}});
    }
  }
}

// Arrays without numbers, whose data() may be null: each op where one of the sizes is 0.
void add_empty(std::vector<Row>& rows) {
  for (const Shape& s : {Shape{0, 3, 2}, Shape{3, 0, 2}, Shape{3, 2, 0}}) {
    const std::string at = message(" of ", s);
    const auto one = [&](const std::string& name, std::function<Tensor(const Tensor&)> f) {
      rows.push_back({name + at, [f](const Xs& x) { return f(x[0]); }, {rnd(s)}});
    };
    for (std::size_t axis : {0, 1, 2}) {
      const std::size_t n = s[axis];
      one("slice", [=](const Tensor& x) { return slice(x, axis, n / 2, n); });
      one("pad", [=](const Tensor& x) { return pad(x, axis, 1, 2); });
      one("concat", [=](const Tensor& x) { return concat({x, x, x}, axis); });
      one("stack", [=](const Tensor& x) { return stack({x, x}, axis); });
      one("split", [=](const Tensor& x) { return split(pad(x, axis, 1, 1), 1, axis)[1]; });
      one("transpose", [=](const Tensor& x) { return transpose(x, axis, (axis + 1) % 3); });
      one("sum", [=](const Tensor& x) { return sum(x, {axis}); });
      one("softmax", [=](const Tensor& x) { return softmax(x, axis); });
      one("log_softmax", [=](const Tensor& x) { return log_softmax(x, axis); });
      if (n > 0) one("mean", [=](const Tensor& x) { return mean(x, {axis}); });
      if (n > 0) one("max", [=](const Tensor& x) { return max(x, {axis}); });
    }
    one("where", [](const Tensor& x) { return where(x, x, tensor({}, {1})); });
    one("broadcast_to", [=](const Tensor& x) { return broadcast_to(x, {2, s[0], s[1], s[2]}); });
    one("gather_rows", [](const Tensor& x) {
      return x.shape(0) == 0 ? gather_rows(x, ids({2, 0}, {})) : gather_rows(x, ids({1}, {2}));
    });
    one("scatter_rows",
        [=](const Tensor& x) { return scatter_rows(x, full<Indices>({s[0]}, 1), 2); });
    one("mse_loss", [](const Tensor& x) { return mse_loss(x, x, Reduction::kSum); });
    one("bce_with_logits", [=](const Tensor& x) {
      return bce_with_logits(x, full(s, 1), full({}, 1), Reduction::kSum);
    });
    rows.push_back({"matmul" + at,
                    [](const Xs& x) { return matmul(x[0], x[1], false, true); },
                    {rnd(s), rnd(s)}});
    rows.push_back({"linear" + at,
                    [](const Xs& x) { return linear(x[0], x[1], x[2]); },
                    {rnd(s), rnd({0, s[2]}), rnd({0})}});
    rows.push_back({"conv1d" + at,
                    [](const Xs& x) { return conv1d(x[0], x[1], x[2], 1, 1); },
                    {rnd(s), rnd({2, s[1], 2}), rnd({2})}});
    rows.push_back({"conv1d without outputs" + at,
                    [](const Xs& x) { return conv1d(x[0], x[1], {}, 1, 1); },
                    {rnd(s), rnd({0, s[1], 2})}});
    if (s[2] > 0) one("unfold", [](const Tensor& x) { return unfold(x, 2); });
    if (s[1] > 0) one("fold", [=](const Tensor& x) { return fold(x, s[1], 1); });
  }
  const Indices none = ids({0}, {}), two = ids({2}, {1, 0});
  for (bool sparse : {true, false}) {
    rows.push_back({message("weighted_rows of no columns", sparse),
                    [=](const Xs& x) { return weighted_rows(x[0], two, two, 2, x[1], sparse); },
                    {rnd({2, 0}), rnd({2})}});
    rows.push_back({message("weighted_rows into nothing", sparse),
                    [=](const Xs& x) { return weighted_rows(x[0], none, none, 0, x[1], sparse); },
                    {rnd({0, 2}), rnd({0})}});
    rows.push_back({message("row_dots of no columns", sparse),
                    [=](const Xs& x) { return row_dots(x[0], two, x[1], two, sparse); },
                    {rnd({2, 0}), rnd({2, 0})}});
    rows.push_back({message("max_rows of no columns", sparse),
                    [=](const Xs& x) { return max_rows(x[0], two, two, 2, sparse); },
                    {rnd({2, 0})}});
  }
}

std::vector<Row> table() {
  std::vector<Row> rows;
  add_elementwise(rows);
  add_shape(rows);
  add_reductions(rows);
  add_products(rows);
  add_lookups(rows);
  add_bags(rows);
  add_convolutions(rows);
  add_losses(rows);
  add_empty(rows);
  add_recurrent(rows);
  add_lstm(rows);
  return rows;
}

// The ops that ran while it watched, each way.
struct Seen : Observer {
  std::set<std::string> forward, backward;
  void on_forward(const char* op, const Tensors&, const Tensors&) override { forward.insert(op); }
  void on_backward(const Tensor& y, const Tensors&, const Gradients&) override {
    backward.insert(y.node()->op);
  }
};

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  INFO(path);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

// The first group of every match.
std::set<std::string> find_all(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), expression), end; i != end; ++i)
    found.insert((*i)[1]);
  return found;
}

std::string missing(const std::set<std::string>& wanted, const std::set<std::string>& have) {
  std::string names;
  for (const std::string& name : wanted) {
    if (have.count(name) == 0) names += name + ' ';
  }
  return names;
}

}  // namespace

TEST_CASE("every op agrees with finite differences to second order", "[ops]") {
  const std::vector<Row> rows = table();
  for (const Row& row : rows) {
    const std::size_t before = live_nodes();
    INFO(row.name);
    CHECK_NOTHROW(check_gradients(row.f, row.inputs));
    CHECK(live_nodes() == before);
  }
}

// Gives all nodes of this op below y a rule that returns too much; counts ops of other kinds.
std::size_t break_rules(const Tensor& y, const std::string& op) {
  Node& n = *y.node();
  const auto too_much = [](Gradients dxs) {
    for (Gradient& dx : dxs) {
      if (dx.index() != 0) dx = dense(dx) * Real(1.5);
    }
    return dxs;
  };
  const bool selects = !n.inputs.empty() && n.inputs[0].node()->rule_of_many;
  if (n.op == op && n.rule && !selects)
    n.rule = [=, right = n.rule](const Tensor& out, const Tensor& dy) {
      return too_much(right(out, dy));
    };
  if (n.op == op && n.rule_of_many)
    n.rule_of_many = [=, right = n.rule_of_many](const Tensors& dys) {
      return too_much(right(dys));
    };
  std::size_t others = !n.leaf && n.op != op ? 1 : 0;
  for (const Tensor& x : n.inputs) others += break_rules(x, op);
  return others;
}

TEST_CASE("every op: a wrong rule is found, and the message names the op first", "[ops]") {
  std::set<std::string> found;
  for (const Row& row : table()) {
    Xs xs;
    for (const Array& x : row.inputs) xs.emplace_back(x, true);
    const Tensor y = row.f(xs);
    const std::string op = y.node()->op;
    if (y.node()->leaf || y.size() == 0) continue;
    double size = 0;  // nothing is wrong with a derivative of 0
    for (const Gradient& g : gradients(sum(y * y), xs)) size += norm(g);
    if (size < 1e-3 || std::isnan(size)) continue;
    INFO(row.name);
    std::size_t others = 0;
    const auto broken = [&](const Xs& x) {
      const Tensor out = row.f(x);
      others = break_rules(out, op);
      return out;
    };
    const std::string text = error_of([&] { check_gradients(broken, row.inputs); });
    CHECK_THAT(text, ContainsText("check_gradients: the rule of "));
    CHECK_THAT(text.substr(0, text.find(':', 20)), ContainsText('\'' + op + '\''));
    if (others > 0) continue;  // one of those that use the same tensor
    CHECK_THAT(text, ContainsText("check_gradients: the rule of '" + op + "' for its input "));
    CHECK_THAT(text, !ContainsText("detach()"));
    found.insert(op);
  }
  CHECK(found.size() >= 30);
}

TEST_CASE("every op: what the elements of each dy contribute adds up to the gradient",
          "[ops][explain]") {
  Generator generator(5);
  std::size_t asked = 0;
  for (const Row& row : table()) {
    Xs xs;
    for (const Array& x : row.inputs) xs.emplace_back(x, true);
    const Tensor y = row.f(xs);
    if (y.node()->leaf || y.size() == 0) continue;
    INFO(row.name);
    const Tensor c(uniform(y.shape(), Real(0.5), Real(1.5), generator));
    const auto loss_of = [&] { return sum(row.f(xs) * c); };
    const Gradients all = gradients(loss_of(), xs);
    for (std::size_t k = 0; k < xs.size(); ++k) {
      if (xs[k].size() == 0 || all[k].index() == 0) continue;
      const std::size_t at = generator.below(xs[k].size());
      const double g = static_cast<double>(dense(all[k]).value().data()[at]);
      const Explanation told = kFloat ? explain(loss_of(), xs[k], index_of(at, xs[k].shape()))
                                      : explain(loss_of, xs[k], index_of(at, xs[k].shape()));
      const double size = std::max(norm(all[k]), 1e-3);
      CHECK_THAT(told.steps[0].gradient, WithinAbs(g, (kFloat ? 1e-5 : 1e-10) * size));
      if (told.difference) CHECK_THAT(*told.difference, WithinAbs(g, 1e-6 * (1 + size)));
      ++asked;
    }
  }
  CHECK(asked > 100);
}

// Rows count only by what their own function records and by the nodes it made: an op that merely
// occurs in another's derivative rule still needs a row.
TEST_CASE("every op has a row in the table of derivative checks", "[ops]") {
  std::set<std::string> forward, backward, functions;
  for (const Row& row : table()) {
    Xs xs;
    for (const Array& x : row.inputs) xs.emplace_back(x, true);
    Tensor y;
    {
      Seen seen;
      y = row.f(xs);
      forward.merge(seen.forward);
      // The y of a row may be one of its inputs, as where broadcast_to has nothing to do.
      if (y.node()->leaf) continue;
    }
    const Tensor loss = y.size() == 1 ? y : sum(y);
    Seen seen;
    gradients(loss, xs);
    if (loss.node() != y.node()) seen.backward.erase("sum_to");  // the sum is ours, not the row's
    backward.merge(seen.backward);
    functions.insert(row.name.substr(0, row.name.find(' ')));
  }
  std::set<std::string> recorded;
  const std::filesystem::path source = GRADWALK_SOURCE_DIR;
  for (const auto& file : std::filesystem::directory_iterator(source / "tests/own")) {
    const std::string check = file.path().stem().string();
    if (check.rfind("op_", 0) != 0) continue;  // an op with a check_op of its own
    for (auto* names : {&forward, &backward, &functions}) names->insert(check.substr(3));
  }
  for (const char* folder : {"core/ops", "layers/recurrent"}) {
    for (const auto& file : std::filesystem::directory_iterator(source / folder)) {
      if (file.path().extension() == ".cpp")
        recorded.merge(find_all(read(file.path()), R"re(\brecord(?:_many)?\(\s*"(\w+)")re"));
    }
  }
  CHECK(recorded.size() >= 30);
  CHECK(missing(recorded, forward) == "");
  CHECK(missing(recorded, backward) == "");

  std::set<std::string> declared;  // those that take a tensor: the others have no derivative
  for (const char* header : {"core/ops.hpp", "layers/recurrent/cells.hpp",
                             "layers/recurrent/unroll.hpp", "layers/recurrent/lstm.hpp"})
    declared.merge(find_all(
        read(source / header),
        R"re((?:^|\n)(?:inline )?(?:Tensors?|Lstm\w+|Unrolled)\s+(operator.|\w+)\((?=[^;]*\bTensor))re"));
  CHECK(declared.size() >= 35);
  CHECK(missing(declared, functions) == "");
}

TEST_CASE("values of the elementwise ops", "[ops]") {
  const Tensor a = tensor({2, 2}, {1, 2, 3, -4}), b = tensor({2}, {10, -2});
  check_values(a + b, {2, 2}, {11, 0, 13, -6});
  check_values(a - b, {2, 2}, {-9, 4, -7, -2});
  check_values(b - a, {2, 2}, {9, -4, 7, 2});
  check_values(a * b, {2, 2}, {10, -4, 30, 8});
  check_values(a / b, {2, 2}, {0.1, -1, 0.3, 2});
  check_values(tensor({2, 1}, {1, 2}) - tensor({1, 3}, {1, 2, 3}), {2, 3}, {0, -1, -2, 1, 0, -1});
  check_values(tensor({2, 1, 2}, {1, 2, 3, 4}) + tensor({3, 1}, {10, 20, 30}), {2, 3, 2},
               {11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34});
  check_values(tensor({}, {2}) * tensor({}, {3}), {}, {6});
  check_values(tensor({}, {2}) * tensor({0, 3}, {}), {0, 3}, {});
  check_values(-a, {2, 2}, {-1, -2, -3, 4});
  check_values(a * Real(2), {2, 2}, {2, 4, 6, -8});
  check_values(Real(2) * a, {2, 2}, {2, 4, 6, -8});
  check_values(a + Real(0.5), {2, 2}, {1.5, 2.5, 3.5, -3.5});
  check_values(pow(a, 3), {2, 2}, {1, 8, 27, -64});
  check_values(pow(tensor({2}, {4, 0}), 0), {2}, {1, 1});
  check_values(pow(tensor({2}, {4, 0.25}), Real(-0.5)), {2}, {0.5, 2});
  // x^1.5 leaves the floats at both ends, its slope does not
  for (const double v : {1e-30, 1e30}) {
    const Tensor x(array({1}, {v}), true);
    CHECK_THAT(double(dense(gradients(sum(pow(x, Real(1.5))), {x})[0]).value()(0)),
               WithinRel(1.5 * std::sqrt(v), 1e-5));
  }
  check_values(exp(tensor({3}, {0, 1, -2})), {3}, {1, 2.718281828459045, 0.1353352832366127});
  check_values(log(tensor({3}, {1, 2, 0.5})), {3}, {0, 0.6931471805599453, -0.6931471805599453});
  check_values(sqrt(tensor({3}, {0, 9, 2})), {3}, {0, 3, 1.4142135623730951});
  check_values(abs(tensor({3}, {-2, 0, 3})), {3}, {2, 0, 3});
  check_values(maximum(a, tensor({}, {2})), {2, 2}, {2, 2, 3, 2});
  check_values(tanh(tensor({4}, {0, 0.25, 1, -2})), {4},
               {0, 0.24491866240370913, 0.7615941559557649, -0.9640275800758169});
  check_values(sigmoid(tensor({3}, {0, 1, -2})), {3},
               {0.5, 0.7310585786300049, 0.11920292202211755});
  check_values(relu(tensor({3}, {-1, 0, 2})), {3}, {0, 0, 2});
  check_values(where(tensor({2, 1}, {1, 0}), tensor({2}, {1, 2}), tensor({}, {9})), {2, 2},
               {1, 2, 9, 9});
  check_values(where(tensor({2}, {-3, 0}), tensor({}, {1}), tensor({}, {9})), {2},
               {1, 9});  // any number but 0 is true
  check_values(masked_fill(a, tensor({2}, {0, 1}), Real(7)), {2, 2}, {1, 7, 3, 7});
}

TEST_CASE("random shapes broadcast as index arithmetic says", "[ops]") {
  Generator generator(11);
  for (int round = 0; round < 300; ++round) {
    Shape shape(generator.below(5)), sa = shape, sb = shape;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      shape[i] = generator.below(4);
      sa[i] = generator.below(3) == 0 ? 1 : shape[i];
      sb[i] = sa[i] == 1 || generator.below(3) != 0 ? shape[i] : 1;
    }
    if (generator.below(2) == 0) {  // without its leading axes of length 1
      while (!sb.empty() && sb.front() == 1) sb.erase(sb.begin());
    }
    const Tensor a(normal(sa, generator)), b(normal(sb, generator));
    const Tensor y = a - b;
    INFO(message(sa, sb, shape));
    REQUIRE(y.shape() == shape);
    const Tensor wide = broadcast_to(b, shape), back = sum_to(y, sb);
    Array sums = full(sb, 0);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const Shape index = index_of(i, shape);
      const Real v = b.value().data()[place_of(index, sb)];
      REQUIRE(y.value().data()[i] == a.value().data()[place_of(index, sa)] - v);
      REQUIRE(wide.value().data()[i] == v);
      sums.data()[place_of(index, sb)] += y.value().data()[i];
    }
    for (std::size_t i = 0; i < sums.size(); ++i)
      REQUIRE_THAT(back.value().data()[i], WithinAbs(sums.data()[i], 1e-4));
  }
}

TEST_CASE("a NaN comes through maximum, relu and max, wherever it stands", "[ops]") {
  const double nan = std::nan("");
  const auto is_nan = [](const Tensor& t) {
    std::string s;
    for (Real v : t.value()) s += std::isnan(v) ? 'n' : '.';
    return s;
  };
  CHECK(is_nan(maximum(tensor({3}, {nan, 1, 2}), tensor({3}, {1, nan, 1}))) == "nn.");
  CHECK(is_nan(relu(tensor({3}, {nan, 1, -2}))) == "n..");
  CHECK(is_nan(max(tensor({2}, {1, nan}))) == "n");
  CHECK(is_nan(max(tensor({2}, {nan, 1}))) == "n");
  CHECK(is_nan(max(tensor({2, 2}, {nan, 1, 3, 4}), {0})) == "n.");
  const Tensor column = tensor({3, 1}, {1, nan, 2});
  CHECK(is_nan(max_rows(column, ids({5}, {0, 1, 1, 2, 2}), ids({5}, {0, 0, 1, 1, 2}), 3)) == "nn.");
}

TEST_CASE("derivatives at kinks and ties", "[ops]") {
  const auto slope = [](const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
    return dense(gradients(sum(f(x)), {x})[0]);
  };
  const Tensor kinks(array({3}, {-1, 0, 2}), true);
  check_values(slope([](const Tensor& x) { return abs(x); }, kinks), {3}, {-1, 0, 1});
  check_values(slope([](const Tensor& x) { return relu(x); }, kinks), {3}, {0, 0, 1});
  check_values(slope([](const Tensor& x) { return maximum(x, tensor({}, {0})); }, kinks), {3},
               {0, 0.5, 1});
  check_values(slope([](const Tensor& x) { return maximum(tensor({}, {0}), x); }, kinks), {3},
               {0, 0.5, 1});
  check_values(
      slope([](const Tensor& x) { return max(x); }, Tensor(array({4}, {5, 1, 5, 0}), true)), {4},
      {0.5, 0, 0.5, 0});
  check_values(slope([](const Tensor& x) { return pow(x, 0) + pow(x, 1) + pow(x, 2); }, kinks), {3},
               {-1, 1, 5});
}

TEST_CASE("dropout keeps each element with probability 1 - p, and scales it by 1 / (1 - p)",
          "[ops]") {
  Generator generator(5);
  const Tensor x(full({100, 100}, 3), true);
  const Tensor y = dropout(x, 0.25, generator);
  std::size_t kept = 0;
  for (Real v : y.value()) {
    if (v == 0) continue;
    CHECK_THAT(double(v), WithinRel(4., 1e-6));
    ++kept;
  }
  CHECK(kept > 7300);  // 7500 expected, 43 standard deviation
  CHECK(kept < 7700);
  // the gradient goes through the same mask
  const Tensor dx = dense(gradients(sum(y), {x})[0]);
  for (std::size_t i = 0; i < dx.size(); ++i)
    REQUIRE((dx.value().data()[i] == 0) == (y.value().data()[i] == 0));
  check_values(dropout(tensor({2}, {1, 2}), 0, generator), {2}, {1, 2});
}

TEST_CASE("values of the shape ops", "[ops]") {
  const Tensor x = tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  check_values(reshape(x, {3, 2}), {3, 2}, {1, 2, 3, 4, 5, 6});
  check_values(transpose(x), {3, 2}, {1, 4, 2, 5, 3, 6});
  // axis i of y is axes[i] of x: y[k, i, j] = x[i, j, k]
  const Tensor cube = tensor({2, 1, 3}, {1, 2, 3, 4, 5, 6});
  check_values(permute(cube, {2, 0, 1}), {3, 2, 1}, {1, 4, 2, 5, 3, 6});
  check_values(transpose(cube, 1, 2), {2, 3, 1}, {1, 2, 3, 4, 5, 6});
  check_values(permute(tensor({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7}), {1, 2, 0}), {2, 2, 2},
               {0, 4, 1, 5, 2, 6, 3, 7});
  check_values(slice(x, 1, 1, 3), {2, 2}, {2, 3, 5, 6});
  check_values(slice(x, 0, 1, 2), {1, 3}, {4, 5, 6});
  check_values(slice(x, 0, 2, 2), {0, 3}, {});
  check_values(pad(x, 1, 1, 0), {2, 4}, {0, 1, 2, 3, 0, 4, 5, 6});
  check_values(pad(x, 0, 0, 1), {3, 3}, {1, 2, 3, 4, 5, 6, 0, 0, 0});
  check_values(concat({x, tensor({2, 1}, {7, 8})}, 1), {2, 4}, {1, 2, 3, 7, 4, 5, 6, 8});
  check_values(concat({x, tensor({1, 3}, {7, 8, 9})}, 0), {3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const Tensor a = tensor({2}, {1, 2}), b = tensor({2}, {3, 4});
  check_values(stack({a, b}, 0), {2, 2}, {1, 2, 3, 4});
  check_values(stack({a, b}, 1), {2, 2}, {1, 3, 2, 4});
  const std::vector<Tensor> parts = split(x, 2, 1);
  REQUIRE(parts.size() == 2);
  check_values(parts[0], {2, 2}, {1, 2, 4, 5});
  check_values(parts[1], {2, 1}, {3, 6});
  CHECK(split(tensor({0}, {}), 2, 0).empty());
  check_values(broadcast_to(tensor({2, 1}, {1, 2}), {2, 2, 3}), {2, 2, 3},
               {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2});
  check_values(sum_to(x, {3}), {3}, {5, 7, 9});
  check_values(sum_to(x, {2, 1}), {2, 1}, {6, 15});
  check_values(sum_to(x, {}), {}, {21});
  check_values(sum_to(tensor({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7}), {2, 1}), {2, 1}, {10, 18});
  check_values(sum_to(tensor({0, 2}, {}), {2}), {2}, {0, 0});
}

TEST_CASE("values of the reductions", "[ops]") {
  const Tensor x = tensor({2, 3}, {1, 5, 3, 4, 2, 6});
  check_values(sum(x), {}, {21});
  check_values(sum(x, {0}), {3}, {5, 7, 9});
  check_values(sum(x, {1}, true), {2, 1}, {9, 12});
  check_values(sum(x, {0, 1}), {}, {21});
  check_values(sum(x, {}), {2, 3}, {1, 5, 3, 4, 2, 6});
  check_values(mean(x), {}, {3.5});
  check_values(mean(x, {0}), {3}, {2.5, 3.5, 4.5});
  check_values(mean(x, {1}, true), {2, 1}, {3, 4});
  check_values(max(x), {}, {6});
  check_values(max(x, {0}), {3}, {4, 5, 6});
  check_values(max(x, {1}, true), {2, 1}, {5, 6});
  check_values(max(tensor({2}, {-3, -7})), {}, {-3});
  check_values(max(tensor({3, 0}, {}), {0}), {0}, {});
  check_values(sum(tensor({0}, {})), {}, {0});
  // softmax of [0, log 2, log 5] is [1, 2, 5] / 8, over either axis
  const double l2 = 0.6931471805599453, l5 = 1.6094379124341003, l8 = 2.0794415416798357;
  check_values(softmax(tensor({1, 3}, {0, l2, l5}), 1), {1, 3}, {0.125, 0.25, 0.625});
  check_values(softmax(tensor({3, 2}, {0, 7, l2, 7, l5, 7}), 0), {3, 2},
               {0.125, 1 / 3., 0.25, 1 / 3., 0.625, 1 / 3.});
  check_values(log_softmax(tensor({3}, {0, l2, l5}), 0), {3}, {-l8, l2 - l8, l5 - l8});
  check_values(softmax(tensor({2, 2}, {1000, 1000, -1000, 1000}), 1), {2, 2}, {0.5, 0.5, 0, 1});
  check_values(log_softmax(tensor({2}, {1000, -1000}), 0), {2}, {0, -2000});
}

TEST_CASE("values of the products", "[ops]") {
  const Tensor a = tensor({2, 3}, {1, 2, 3, 4, 5, 6}), b = tensor({3, 2}, {1, 0, 2, 1, 0, 3});
  check_values(matmul(a, b), {2, 2}, {5, 11, 14, 23});
  check_values(matmul(transpose(a), b, true, false), {2, 2}, {5, 11, 14, 23});
  check_values(matmul(a, transpose(b), false, true), {2, 2}, {5, 11, 14, 23});
  check_values(matmul(transpose(a), transpose(b), true, true), {2, 2}, {5, 11, 14, 23});
  check_values(matmul(tensor({2, 1, 2}, {1, 2, 3, 4}), tensor({2, 2, 1}, {5, 6, 7, 8})), {2, 1, 1},
               {17, 53});
  check_values(matmul(tensor({2, 0}, {}), tensor({0, 2}, {})), {2, 2}, {0, 0, 0, 0});
  check_values(matmul(tensor({0, 2}, {}), tensor({2, 3}, {1, 2, 3, 4, 5, 6})), {0, 3}, {});
  const Tensor w = tensor({2, 3}, {1, 0, 2, 0, 1, 1});
  check_values(linear(a, w, tensor({2}, {10, 20})), {2, 2}, {17, 25, 26, 31});
  check_values(linear(a, w, {}), {2, 2}, {7, 5, 16, 11});
  check_values(linear(reshape(a, {2, 1, 3}), w, {}), {2, 1, 2}, {7, 5, 16, 11});
  check_values(linear(tensor({3}, {1, 2, 3}), w, tensor({2}, {10, 20})), {2}, {17, 25});
  check_values(linear(tensor({2, 0}, {}), tensor({1, 0}, {}), tensor({1}, {3})), {2, 1}, {3, 3});
}

TEST_CASE("values of the lookups", "[ops]") {
  const Tensor table = tensor({3, 2}, {1, 2, 3, 4, 5, 6});
  check_values(gather_rows(table, ids({3}, {2, 0, 2})), {3, 2}, {5, 6, 1, 2, 5, 6});
  check_values(gather_rows(table, ids({1, 2}, {1, 0})), {1, 2, 2}, {3, 4, 1, 2});
  check_values(gather_rows(table, ids({}, {1})), {2}, {3, 4});
  check_values(gather_rows(table, ids({0}, {})), {0, 2}, {});
  check_values(scatter_rows(tensor({3, 2}, {1, 2, 3, 4, 5, 6}), ids({3}, {1, 3, 1}), 4), {4, 2},
               {0, 0, 6, 8, 0, 0, 3, 4});
  check_values(scatter_rows(tensor({0, 2}, {}), ids({0}, {}), 2), {2, 2}, {0, 0, 0, 0});
}

TEST_CASE("values of the bags", "[ops]") {
  const Tensor table = tensor({3, 2}, {1, 2, 3, 4, 5, 6}), w = tensor({4}, {1, 10, 2, -1});
  const Indices in = ids({4}, {2, 0, 2, 1}), out = ids({4}, {0, 0, 0, 2});
  check_values(weighted_rows(table, in, out, 3, w), {3, 2}, {25, 38, 0, 0, -3, -4});
  check_values(row_dots(table, in, tensor({3, 2}, {1, 0, 9, 9, 0, 2}), out), {4}, {5, 1, 5, 8});
  check_values(max_rows(table, in, out, 3), {3, 2}, {5, 6, 0, 0, 3, 4});
  check_values(max_rows(-table, in, out, 3), {3, 2}, {-1, -2, 0, 0, -3, -4});
  const Indices none = ids({0}, {});
  check_values(weighted_rows(table, none, none, 1, tensor({0}, {})), {1, 2}, {0, 0});
  check_values(max_rows(table, none, none, 1), {1, 2}, {0, 0});
  check_values(row_dots(table, none, table, none), {0}, {});
  check_values(max_rows(tensor({2, 0}, {}), ids({1}, {1}), ids({1}, {0}), 2), {2, 0}, {});
}

TEST_CASE("a bag's gradient is its distinct rows, once each", "[ops]") {
  const Tensor table(array({4, 2}, {1, 2, 3, 4, 5, 6, 5, 0}), true);
  const Indices in = ids({4}, {2, 0, 2, 3}), out = ids({4}, {0, 0, 1, 0});
  const Tensor dy = tensor({2, 2}, {1, 2, 10, 20}), w = tensor({4}, {1, 1, 1, 3});
  const auto rows_of = [](const RowSparse& g) {
    return std::vector<std::int64_t>(g.rows.begin(), g.rows.end());
  };
  using Rows = std::vector<std::int64_t>;
  SECTION("sums: each row that was read") {
    const Tensor y = weighted_rows(table, in, out, 2, w);
    const RowSparse g = std::get<RowSparse>(gradients(sum(y * dy), {table})[0]);
    CHECK(rows_of(g) == Rows{2, 0, 3});
    CHECK(g.coalesced);
    check_values(g.values, {3, 2}, {11, 22, 1, 2, 3, 6});
  }
  SECTION("maxima: each row that won, the first of equals") {
    const Tensor y = max_rows(table, in, out, 2);  // rows 2 and 3 have the same first number
    const RowSparse g = std::get<RowSparse>(gradients(sum(y * dy), {table})[0]);
    CHECK(rows_of(g) == Rows{2});
    CHECK(g.coalesced);
    check_values(g.values, {1, 2}, {11, 22});
  }
}

TEST_CASE("an id that occurs k times gets the mean of its gradients", "[ops]") {
  const Indices in = ids({4}, {2, 0, 2, 2}), out = ids({4}, {0, 0, 1, 0});
  const Tensor dy = tensor({4, 1}, {1, 10, 100, 1000});
  for (bool sparse : {true, false}) {
    const auto gradient = [&](auto f) {
      const Tensor table(array({3, 1}, {7, 8, 9}), true);
      return dense(gradients(sum(f(table)), {table})[0]);
    };
    check_values(
        gradient([&](const Tensor& t) { return gather_rows(t, in, {}, sparse, true) * dy; }),
        {3, 1}, {10, 0, 1101 / 3.});
    check_values(
        gradient([&](const Tensor& t) { return gather_rows(t, in, 0, sparse, true) * dy; }), {3, 1},
        {0, 0, 1101 / 3.});
    const Tensor w = tensor({4}, {1, 2, 4, 8}), two = tensor({2, 1}, {1, 10});
    check_values(gradient([&](const Tensor& t) {
                   return weighted_rows(t, in, out, 2, w, sparse, true) * two;
                 }),
                 {3, 1}, {2, 0, (1 + 40 + 8) / 3.});
    check_values(
        gradient([&](const Tensor& t) { return max_rows(t, in, out, 2, sparse, true) * two; }),
        {3, 1}, {0, 0, 11 / 3.});
    check_values(gradient([&](const Tensor& t) {
                   return row_dots(t, in, two, out, sparse, true) * tensor({4}, {1, 2, 4, 8});
                 }),
                 {3, 1}, {2, 0, (1 + 40 + 8) / 3.});
  }
}

TEST_CASE("a lookup gives its padding row a value but no gradient", "[ops]") {
  for (bool sparse : {true, false}) {
    const Tensor table(array({3, 1}, {1, 2, 3}), true);
    const Tensor y = gather_rows(table, ids({2, 2}, {1, 2, 1, 0}), 1, sparse);
    check_values(y, {2, 2, 1}, {2, 3, 2, 1});
    const Gradient g = gradients(sum(y * tensor({2, 2, 1}, {10, 20, 30, 40})), {table})[0];
    CHECK(std::holds_alternative<RowSparse>(g) == sparse);
    check_values(dense(g), {3, 1}, {40, 0, 20});
  }
}

TEST_CASE("values of the losses", "[ops]") {
  // log-probabilities [-1, -2, -3] and [-4, -5, -6]
  const Tensor lp = tensor({2, 3}, {-1, -2, -3, -4, -5, -6});
  CrossEntropyOptions o;
  check_values(nll_loss(lp, ids({2}, {2, 0})), {}, {3.5});
  o.weight = array({3}, {1, 10, 3});
  check_values(nll_loss(lp, ids({2}, {2, 0}), o), {},
               {(3 * 3 + 4) / 4.});  // the mean is over weights
  o.reduction = Reduction::kNone;
  check_values(nll_loss(lp, ids({2}, {2, 0}), o), {2}, {9, 4});
  o.reduction = Reduction::kSum;
  check_values(nll_loss(lp, ids({2}, {2, -100}), o), {}, {9});  // -100 is ignored

  // softmax of [0, log 2, log 5] is [1, 2, 5] / 8
  const double l2 = 0.6931471805599453, l5 = 1.6094379124341003, l8 = 2.0794415416798357;
  const Tensor logits = tensor({2, 3}, {0, l2, l5, 0, l2, l5});
  check_values(softmax_cross_entropy(logits, ids({2}, {0, 2})), {}, {(l8 + l8 - l5) / 2});
  CrossEntropyOptions s;
  s.reduction = Reduction::kNone;
  s.label_smoothing = 0.3;  // 0.1 to each class, 0.7 more to the target
  const double all = 0.1 * (3 * l8 - l2 - l5);
  check_values(softmax_cross_entropy(logits, ids({2}, {0, 2}), s), {2},
               {0.7 * l8 + all, 0.7 * (l8 - l5) + all});
  s.weight = array({3}, {2, 1, 4});
  s.ignore_index = 0;
  const double weighted = 0.1 * (2 * l8 + (l8 - l2) + 4 * (l8 - l5));
  check_values(softmax_cross_entropy(logits, ids({2}, {0, 2}), s), {2},
               {0, 0.7 * 4 * (l8 - l5) + weighted});
  s.reduction = Reduction::kMean;  // over the weights of the targets that count: 4
  check_values(softmax_cross_entropy(logits, ids({2}, {0, 2}), s), {},
               {0.7 * (l8 - l5) + weighted / 4});
  check_values(softmax_cross_entropy(tensor({1, 2}, {1000, -1000}), ids({1}, {1})), {}, {2000});

  // sigmoid(log 3) = 3/4
  const double l3 = 1.0986122886681098, l4 = 1.3862943611198906;
  const Tensor z = tensor({3}, {l3, l3, -l3});
  const Array t = array({3}, {1, 0, 0.5});
  const double third = 0.5 * l4 + 0.5 * (l4 - l3);
  check_values(bce_with_logits(z, t, array({}, {1}), Reduction::kNone), {3}, {l4 - l3, l4, third});
  check_values(bce_with_logits(z, t), {}, {(2 * l4 - l3 + third) / 3});
  check_values(bce_with_logits(z, t, array({3}, {2, 3, 4}), Reduction::kNone), {3},
               {2 * (l4 - l3), l4, 0.5 * 4 * l4 + 0.5 * (l4 - l3)});
  check_values(bce_with_logits(tensor({2}, {500, -500}), array({2}, {0, 1}), array({}, {1}),
                               Reduction::kSum),
               {}, {1000});
  // far out on the right side a loss is small, not zero: log(1 + e^-30)
  const double small = 9.357622968840175e-14;
  CHECK(bce_with_logits(tensor({}, {-30}), array({}, {0})).item() == Approx(small));
  CHECK(bce_with_logits(tensor({}, {30}), array({}, {1})).item() == Approx(small));
  const Tensor m = tensor({3}, {1, 2, -3}), to = tensor({3}, {0, 4, -3});
  check_values(mse_loss(m, to), {}, {5 / 3.});
  check_values(mse_loss(m, to, Reduction::kSum), {}, {5});
  check_values(mse_loss(m, to, Reduction::kNone), {3}, {1, 4, 0});
  check_values(reduce(tensor({2}, {1, 3}), Reduction::kMean), {}, {2});
  check_values(reduce(tensor({2}, {1, 3}), Reduction::kSum), {}, {4});
  check_values(reduce(tensor({2}, {1, 3}), Reduction::kNone), {2}, {1, 3});
}

TEST_CASE("a class of probability 0 that is not the target does no harm", "[ops]") {
  const double inf = HUGE_VAL;
  const Tensor logits(array({1, 3}, {0, -inf, 0}), true);
  const Tensor loss = softmax_cross_entropy(logits, ids({1}, {2}));
  check_values(loss, {}, {0.6931471805599453});
  check_values(dense(gradients(loss, {logits})[0]), {1, 3}, {0.5, 0, -0.5});
  const Tensor log_probs(array({1, 3}, {-1, -inf, -2}), true);
  const Tensor nll = nll_loss(log_probs, ids({1}, {2}));
  check_values(nll, {}, {2});
  check_values(dense(gradients(nll, {log_probs})[0]), {1, 3}, {0, 0, -1});
}

TEST_CASE("the texts of the elementwise ops' errors", "[ops]") {
  const Tensor a = tensor({2, 3}, {1, 2, 3, 4, 5, 6}), b = tensor({2}, {1, 2}), none;
  CHECK(invalid([&] { a + b; }) == "add: shapes [2, 3] and [2] do not broadcast");
  CHECK(invalid([&] { b - a; }) == "sub: shapes [2] and [2, 3] do not broadcast");
  CHECK(invalid([&] { a* b; }) == "mul: shapes [2, 3] and [2] do not broadcast");
  CHECK(invalid([&] {
          a / tensor({0, 3}, {});
        }) == "div: shapes [2, 3] and [0, 3] do not broadcast");
  CHECK(invalid([&] { maximum(a, b); }) == "maximum: shapes [2, 3] and [2] do not broadcast");
  CHECK(invalid([&] { where(b, a, a); }) == "where: shapes [2] and [2, 3] do not broadcast");
  CHECK(invalid([&] { where(a, a, b); }) == "where: shapes [2, 3] and [2] do not broadcast");
  CHECK(invalid([&] { masked_fill(a, b, 0); }) ==
        "masked_fill: shapes [2] and [2, 3] do not broadcast");
  CHECK(invalid([&] {
          masked_fill(b, tensor({3, 1}, {1, 1, 1}), 0);
        }) == "masked_fill: the mask [3, 1] must broadcast to the tensor [2]");
  Generator g;
  CHECK(invalid([&] { dropout(a, 1, g); }) == "dropout: the probability must be in [0, 1), got 1");
  CHECK(invalid([&] { dropout(a, -0.5, g); }) ==
        "dropout: the probability must be in [0, 1), got -0.5");
  CHECK(invalid([&] { dropout(a, std::nan(""), g); }) ==
        "dropout: the probability must be in [0, 1), got nan");
  CHECK(error_of<std::logic_error>([&] { none + a; }) ==
        "tensor: this handle refers to no tensor; was it assigned?");
}

TEST_CASE("the texts of the shape ops' errors", "[ops]") {
  const Tensor a = tensor({2, 3}, {1, 2, 3, 4, 5, 6}), b = tensor({2}, {1, 2});
  CHECK(invalid([&] { reshape(a, {4}); }) == "reshape: [2, 3] holds 6 elements, [4] needs 4");
  CHECK(invalid([&] {
          permute(a, {0, 0});
        }) == "permute: axes must name each axis of [2, 3] once, got [0, 0]");
  CHECK(invalid([&] { permute(a, {0}); }) ==
        "permute: axes must name each axis of [2, 3] once, got [0]");
  CHECK(invalid([&] {
          permute(a, {0, 2});
        }) == "permute: axes must name each axis of [2, 3] once, got [0, 2]");
  CHECK(outside([&] { transpose(a, 0, 2); }) == "transpose: axis 2 is outside [2, 3]");
  CHECK(outside([&] { transpose(b); }) == "transpose: axis 1 is outside [2]");
  CHECK(outside([&] { slice(a, 2, 0, 1); }) == "slice: axis 2 is outside [2, 3]");
  CHECK(outside([&] { slice(a, 1, 2, 4); }) == "slice: 2:4 is outside axis 1 of [2, 3]");
  CHECK(outside([&] { slice(a, 1, 2, 1); }) == "slice: 2:1 is outside axis 1 of [2, 3]");
  CHECK(outside([&] { pad(a, 2, 0, 1); }) == "pad: axis 2 is outside [2, 3]");
  CHECK(invalid([&] { concat({}, 0); }) == "concat: needs at least one tensor");
  CHECK(outside([&] { concat({a, a}, 2); }) == "concat: axis 2 is outside [2, 3]");
  CHECK(invalid([&] {
          concat({a, a, tensor({2, 1}, {1, 2})}, 0);
        }) == "concat: [2, 3] and [2, 1] differ in more than axis 0");
  CHECK(invalid([&] { concat({a, b}, 1); }) == "concat: [2, 3] and [2] differ in more than axis 1");
  CHECK(invalid([&] { stack({}, 0); }) == "stack: needs at least one tensor");
  CHECK(invalid([&] { stack({a, b}, 0); }) == "stack: shapes must be equal, got [2, 3] and [2]");
  CHECK(outside([&] { stack({a, a}, 3); }) == "stack: axis 3 is outside [2, 3] with one axis more");
  CHECK(outside([&] { split(a, 1, 2); }) == "split: axis 2 is outside [2, 3]");
  CHECK(invalid([&] { split(a, 0, 1); }) == "split: the size must be positive");
  CHECK(invalid([&] {
          broadcast_to(a, {3, 3});
        }) == "broadcast_to: shapes [2, 3] and [3, 3] do not broadcast");
  CHECK(invalid([&] { broadcast_to(a, {3}); }) == "broadcast_to: [2, 3] does not broadcast to [3]");
  CHECK(invalid([&] { sum_to(a, {2}); }) == "sum_to: shapes [2, 3] and [2] do not broadcast");
  CHECK(invalid([&] { sum_to(b, {3, 2}); }) == "sum_to: [2] does not sum to [3, 2]");
  const Tensor two(full({2}, 1));
  const std::string negative = "pad: [2] cannot be padded by a negative number";
  CHECK(invalid([&] { pad(two, 0, std::size_t(-1), 1); }) == negative);
  CHECK(invalid([&] { pad(two, 0, 1, std::size_t(-3)); }) == negative);
  CHECK_THROWS_AS(full({std::size_t(1) << 62, 4}, 0), std::length_error);
  CHECK_THROWS_AS(empty({std::size_t(1) << 62}), std::length_error);
}

TEST_CASE("the texts of the reductions' errors", "[ops]") {
  const Tensor a = tensor({2, 3}, {1, 2, 3, 4, 5, 6}), nothing = tensor({0, 3}, {}),
               scalar = tensor({}, {1});
  CHECK(outside([&] { sum(a, {2}); }) == "sum: axis 2 is outside [2, 3]");
  CHECK(outside([&] { max(a, {0, 5}); }) == "max: axis 5 is outside [2, 3]");
  CHECK(outside([&] { softmax(a, 2); }) == "softmax: axis 2 is outside [2, 3]");
  CHECK(outside([&] { softmax(scalar, 0); }) == "softmax: axis 0 is outside []");
  CHECK(outside([&] { log_softmax(a, 3); }) == "log_softmax: axis 3 is outside [2, 3]");
  CHECK(invalid([&] { mean(nothing); }) == "mean: [0, 3] has no elements to average");
  CHECK(invalid([&] { mean(nothing, {0}); }) == "mean: [0, 3] has no elements to average");
  CHECK(invalid([&] { max(nothing); }) == "max: [0, 3] has no elements to choose from");
  CHECK(outside([&] { mean(a, {2}); }) == "mean: axis 2 is outside [2, 3]");
}

TEST_CASE("the texts of the products' errors", "[ops]") {
  const Tensor a = tensor({2, 3}, {1, 2, 3, 4, 5, 6}), b = tensor({2}, {1, 2}),
               cube = tensor({1, 2, 1}, {1, 2});
  CHECK(invalid([&] { matmul(a, b); }) ==
        "matmul: needs two matrices or two batches of them, got [2, 3] and [2]");
  CHECK(invalid([&] { matmul(cube, a); }) ==
        "matmul: needs two matrices or two batches of them, got [1, 2, 1] and [2, 3]");
  CHECK(invalid([&] { matmul(a, a); }) == "matmul: inner sizes must agree, got [2, 3] . [2, 3]");
  CHECK(invalid([&] { matmul(a, a, true, true); }) ==
        "matmul: inner sizes must agree, got [2, 3]^T . [2, 3]^T");
  CHECK(invalid([&] {
          matmul(cube, tensor({2, 1, 1}, {1, 2}));
        }) == "matmul: batch sizes must agree, got [1, 2, 1] and [2, 1, 1]");
  CHECK(invalid([&] { linear(a, b, {}); }) == "linear: the weight must be [out, in], got [2]");
  CHECK(invalid([&] { linear(b, a, {}); }) ==
        "linear: input [2] must end in 3 for a weight [2, 3]");
  CHECK(invalid([&] { linear(tensor({}, {1}), a, {}); }) ==
        "linear: input [] must end in 3 for a weight [2, 3]");
  CHECK(invalid([&] {
          linear(a, a, tensor({3}, {1, 2, 3}));
        }) == "linear: the bias must be [2], got [3]");
}

TEST_CASE("the texts of the lookups' errors", "[ops]") {
  const Tensor table(full({5000, 1}, 0));
  Indices big = full<Indices>({4, 20}, 7);
  big(3, 17) = 5012;
  CHECK(outside([&] { gather_rows(table, big); }) ==
        "gather_rows: index 5012 at [3, 17] is outside a table of 5000 rows");
  CHECK(outside([&] {
          gather_rows(table, ids({2}, {0, -1}));
        }) == "gather_rows: index -1 at [1] is outside a table of 5000 rows");
  CHECK(outside([&] { gather_rows(table, ids({}, {5000})); }) ==
        "gather_rows: index 5000 at [] is outside a table of 5000 rows");
  CHECK(invalid([&] { gather_rows(tensor({}, {1}), ids({1}, {0})); }) ==
        "gather_rows: the table must have rows, got shape []");
  const Tensor values = tensor({2, 1}, {1, 2});
  CHECK(outside([&] {
          scatter_rows(values, ids({2}, {0, 3}), 3);
        }) == "scatter_rows: index 3 at [1] is outside a table of 3 rows");
  CHECK(outside([&] {
          scatter_rows(values, ids({2}, {-2, 0}), 3);
        }) == "scatter_rows: index -2 at [0] is outside a table of 3 rows");
  CHECK(invalid([&] {
          scatter_rows(values, ids({3}, {0, 1, 2}), 3);
        }) == "scatter_rows: needs one row index for each block of values, got [3] and [2, 1]");
}

TEST_CASE("the texts of the bags' errors", "[ops]") {
  const Tensor x = tensor({3, 2}, {1, 2, 3, 4, 5, 6}), w = tensor({2}, {1, 1});
  const Indices two = ids({2}, {0, 1}), one = ids({1}, {0});
  CHECK(invalid([&] { weighted_rows(w, two, two, 2, w); }) ==
        "weighted_rows: needs a table [R, D], got [2]");
  CHECK(invalid([&] { weighted_rows(x, two, one, 2, w); }) ==
        "weighted_rows: needs two lists of equally many rows, got [2] and [1]");
  CHECK(invalid([&] { weighted_rows(x, one, one, 2, w); }) ==
        "weighted_rows: needs one weight for each row, got [2] and [1]");
  const Indices column = ids({2, 1}, {0, 1});
  CHECK(invalid([&] { max_rows(x, column, column, 2); }) ==
        "max_rows: needs two lists of equally many rows, got [2, 1] and [2, 1]");
  CHECK(outside([&] {
          weighted_rows(x, ids({2}, {0, 3}), two, 2, w);
        }) == "weighted_rows: index 3 at [1] is outside a table of 3 rows");
  CHECK(outside([&] { weighted_rows(x, two, two, 1, w); }) ==
        "weighted_rows: index 1 at [1] is outside a table of 1 rows");
  CHECK(invalid([&] { max_rows(w, two, two, 2); }) == "max_rows: needs a table [R, D], got [2]");
  CHECK(invalid([&] {
          row_dots(x, two, tensor({2, 3}, {1, 2, 3, 4, 5, 6}), two);
        }) == "row_dots: needs tables with rows of one width, got [3, 2] and [2, 3]");
  CHECK(outside([&] {
          row_dots(x, two, x, ids({2}, {-1, 0}));
        }) == "row_dots: index -1 at [0] is outside a table of 3 rows");
}

TEST_CASE("the texts of the losses' errors", "[ops]") {
  const Tensor x = tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  CrossEntropyOptions o;
  CHECK(invalid([&] {
          softmax_cross_entropy(x, ids({3}, {0, 0, 0}));
        }) == "softmax_cross_entropy: needs scores [N, C] and targets [N], got [2, 3] and [3]");
  CHECK(invalid([&] {
          nll_loss(tensor({3}, {1, 2, 3}), ids({3}, {0, 0, 0}));
        }) == "nll_loss: needs scores [N, C] and targets [N], got [3] and [3]");
  CHECK(invalid([&] {
          softmax_cross_entropy(x, ids({2, 1}, {0, 0}));
        }) == "softmax_cross_entropy: needs scores [N, C] and targets [N], got [2, 3] and [2, 1]");
  CHECK(outside([&] {
          softmax_cross_entropy(x, ids({2}, {0, 3}));
        }) == "softmax_cross_entropy: target 3 at [1] is outside 3 classes");
  CHECK(outside([&] {
          nll_loss(x, ids({2}, {-1, 0}));
        }) == "nll_loss: target -1 at [0] is outside 3 classes");
  CHECK(invalid([&] {
          softmax_cross_entropy(x, ids({2}, {-100, -100}));
        }) ==
        "softmax_cross_entropy: a mean needs a target that is not ignored and has a weight; there "
        "are 2 rows");
  o.label_smoothing = 0.1;
  CHECK(invalid([&] {
          nll_loss(x, ids({2}, {0, 0}), o);
        }) == "nll_loss: has no label_smoothing; use softmax_cross_entropy");
  o.label_smoothing = 1.5;
  CHECK(invalid([&] {
          softmax_cross_entropy(x, ids({2}, {0, 0}), o);
        }) == "softmax_cross_entropy: label_smoothing must be in [0, 1], got 1.5");
  o.label_smoothing = -0.5;
  CHECK(invalid([&] {
          softmax_cross_entropy(x, ids({2}, {0, 0}), o);
        }) == "softmax_cross_entropy: label_smoothing must be in [0, 1], got -0.5");
  o.label_smoothing = 0;
  o.weight = array({2}, {1, 1});
  CHECK(invalid([&] {
          softmax_cross_entropy(x, ids({2}, {0, 0}), o);
        }) == "softmax_cross_entropy: the class weights must be [3], got [2]");
  o.weight = array({1, 3}, {1, 1, 1});
  CHECK(invalid([&] {
          softmax_cross_entropy(x, ids({2}, {0, 0}), o);
        }) == "softmax_cross_entropy: the class weights must be [3], got [1, 3]");
  CHECK(invalid([&] {
          bce_with_logits(x, array({3}, {0, 0, 0}));
        }) == "bce_with_logits: needs a target for each logit, got [2, 3] and [3]");
  CHECK(invalid([&] {
          bce_with_logits(x, full({2, 3}, 0), full({2}, 1));
        }) == "broadcast_to: shapes [2] and [2, 3] do not broadcast");
  CHECK(invalid([&] { bce_with_logits(tensor({0}, {}), array({0}, {})); }) ==
        "mean: [0] has no elements to average");
  const Tensor nothing = tensor({0, 2}, {});
  CHECK(invalid([&] { mse_loss(nothing, nothing); }) ==
        "mse_loss: a mean needs an element, got [0, 2]");
  check_values(mse_loss(nothing, nothing, Reduction::kSum), {}, {0});
}

TEST_CASE("random reductions agree with index arithmetic", "[ops]") {
  Generator generator(12);
  for (int round = 0; round < 150; ++round) {
    const Shape shape = random_shape(generator);
    Shape kept = shape;
    Axes axes;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      if (generator.below(2) == 0) continue;
      axes.push_back(axis);
      kept[axis] = 1;
    }
    const Tensor x(normal(shape, generator), true), w(normal(kept, generator));
    std::vector<double> sums(w.size(), 0), sizes(w.size(), 0), greatest(w.size(), -HUGE_VAL);
    std::vector<std::size_t> place(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double v = double(x.value().data()[i]);
      place[i] = place_of(index_of(i, shape), kept);
      sums[place[i]] += v;
      sizes[place[i]] += std::abs(v);
      greatest[place[i]] = std::max(greatest[place[i]], v);
    }
    INFO(message(shape, " over ", axes));
    const Tensor total = sum(x, axes, true), average = mean(x, axes, true), most = max(x, axes);
    REQUIRE(total.shape() == kept);
    REQUIRE(most.dim() == shape.size() - axes.size());
    const double n = double(x.size()) / double(w.size());
    for (std::size_t k = 0; k < w.size(); ++k) {
      REQUIRE_THAT(double(total.value().data()[k]),
                   WithinAbs(sums[k], kTolerance * (1 + sizes[k])));
      REQUIRE_THAT(double(average.value().data()[k]),
                   WithinAbs(sums[k] / n, kTolerance * (1 + sizes[k])));
      REQUIRE(double(most.value().data()[k]) == greatest[k]);
    }
    const auto dx_of = [&](const Tensor& y) { return dense(gradients(sum(y * w), {x})[0]); };
    const Tensor d_sum = dx_of(sum(x, axes, true)), d_max = dx_of(max(x, axes, true));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Real slope = w.value().data()[place[i]];
      REQUIRE(d_sum.value().data()[i] == slope);
      REQUIRE(d_max.value().data()[i] ==
              (double(x.value().data()[i]) == greatest[place[i]] ? slope : 0));
    }
  }
  // the greatest in the first block of axes that are not neighbours
  check_values(max(tensor({2, 2, 3}, {7, 9, 8, 1, 2, 3, 4, 5, 6, 0, -1, -2}), {0, 2}), {2}, {9, 3});
}

TEST_CASE("random softmaxes are e^x over its sum", "[ops]") {
  Generator generator(13);
  for (int round = 0; round < 60; ++round) {
    const Shape shape = random_shape(generator);
    const std::size_t axis = generator.below(shape.size());
    Shape kept = shape;
    kept[axis] = 1;
    const Tensor x(normal(shape, generator)), y = softmax(x, axis), log_y = log_softmax(x, axis);
    std::vector<double> sums(size_of(kept), 0);
    const auto e = [&](std::size_t i) { return std::exp(double(x.value().data()[i])); };
    const auto place = [&](std::size_t i) { return place_of(index_of(i, shape), kept); };
    for (std::size_t i = 0; i < x.size(); ++i) sums[place(i)] += e(i);
    INFO(message(shape, " over ", axis));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = e(i) / sums[place(i)];
      REQUIRE_THAT(double(y.value().data()[i]), WithinAbs(expected, kTolerance));
      REQUIRE_THAT(double(log_y.value().data()[i]), WithinAbs(std::log(expected), 4 * kTolerance));
    }
  }
}

TEST_CASE("random moves agree with index arithmetic", "[ops]") {
  Generator generator(14);
  for (int round = 0; round < 150; ++round) {
    const Shape shape = random_shape(generator);
    const Tensor x(normal(shape, generator));
    // y is x at the places that source(index) names; outside of x it is 0
    const auto check_moved = [&](const Tensor& y, const Shape& expected, auto source) {
      REQUIRE(y.shape() == expected);
      for (std::size_t i = 0; i < y.size(); ++i) {
        const Shape from = source(index_of(i, expected));
        bool inside = true;
        for (std::size_t k = 0; k < from.size(); ++k) inside = inside && from[k] < shape[k];
        REQUIRE(y.value().data()[i] == (inside ? x.value().data()[place_of(from, shape)] : 0));
      }
    };
    INFO(message("round ", round, ' ', shape));
    Axes axes(shape.size());
    for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = i;
    generator.shuffle(axes);
    Shape permuted;
    for (std::size_t axis : axes) permuted.push_back(shape[axis]);
    check_moved(permute(x, axes), permuted, [&](const Shape& index) {
      Shape from(index.size());
      for (std::size_t k = 0; k < index.size(); ++k) from[axes[k]] = index[k];
      return from;
    });

    const std::size_t axis = generator.below(shape.size()), n = shape[axis],
                      begin = generator.below(n), end = begin + generator.below(n - begin + 1),
                      before = generator.below(4), after = generator.below(4);
    Shape part = shape, padded = shape;
    part[axis] = end - begin;
    padded[axis] = before + n + after;
    check_moved(slice(x, axis, begin, end), part, [&](Shape index) {
      index[axis] += begin;
      return index;
    });
    check_moved(pad(x, axis, before, after), padded, [&](Shape index) {
      index[axis] -= before;  // wraps to outside
      return index;
    });
    const Tensors parts = split(x, 1 + generator.below(n), axis);
    CHECK((concat(parts, axis).value() == x.value()));
  }
}

TEST_CASE("random products agree with sums of products", "[ops]") {
  Generator generator(15);
  for (int round = 0; round < 60; ++round) {
    const std::size_t B = 1 + generator.below(3), n = 1 + generator.below(40),
                      k = 1 + generator.below(40), m = 1 + generator.below(40);
    const bool ta = generator.below(2) == 0, tb = generator.below(2) == 0;
    const Tensor a(normal({B, ta ? k : n, ta ? n : k}, generator)),
        b(normal({B, tb ? m : k, tb ? k : m}, generator)), y = matmul(a, b, ta, tb);
    INFO(message(a.shape(), b.shape()));
    REQUIRE(y.shape() == Shape{B, n, m});
    for (std::size_t i = 0; i < y.size(); ++i) {
      const Shape at = index_of(i, y.shape());
      double expected = 0;
      for (std::size_t j = 0; j < k; ++j)
        expected += double(a.value()(at[0], ta ? j : at[1], ta ? at[1] : j)) *
                    double(b.value()(at[0], tb ? at[2] : j, tb ? j : at[2]));
      REQUIRE_THAT(double(y.value().data()[i]), WithinAbs(expected, 20 * kTolerance));
    }
  }
}

TEST_CASE("elementwise ops treat every number of a long array alike", "[ops]") {
  Generator generator(16);
  constexpr std::size_t kN = 70'001, kPiece = 1'000;
  const Tensor long_x(uniform({kN}, Real(0.5), 2, generator)),
      long_z(uniform({kN}, -2, 2, generator));
  const std::vector<std::pair<const char*, std::function<Tensor(const Tensor&, const Tensor&)>>>
      ops{{"add", [](const Tensor& x, const Tensor& z) { return x + z; }},
          {"sub", [](const Tensor& x, const Tensor& z) { return x - z; }},
          {"mul", [](const Tensor& x, const Tensor& z) { return x * z; }},
          {"div", [](const Tensor& x, const Tensor& z) { return z / x; }},
          {"maximum", [](const Tensor& x, const Tensor& z) { return maximum(x, z); }},
          {"where", [](const Tensor& x, const Tensor& z) { return where(relu(z), x, z); }},
          {"pow", [](const Tensor& x, const Tensor&) { return pow(x, Real(1.5)); }},
          {"exp", [](const Tensor&, const Tensor& z) { return exp(z); }},
          {"log", [](const Tensor& x, const Tensor&) { return log(x); }},
          {"tanh", [](const Tensor&, const Tensor& z) { return tanh(z); }},
          {"sigmoid", [](const Tensor&, const Tensor& z) { return sigmoid(z); }}};
  const Tensors xs = split(long_x, kPiece, 0), zs = split(long_z, kPiece, 0);
  for (const auto& [name, op] : ops) {
    INFO(name);
    Tensors pieces;
    for (std::size_t i = 0; i < xs.size(); ++i) pieces.push_back(op(xs[i], zs[i]));
    const Tensor whole = op(long_x, long_z), same = concat(pieces, 0);
    for (std::size_t i = 0; i < kN; ++i)
      REQUIRE_THAT(double(whole.value().data()[i]),
                   WithinAbs(double(same.value().data()[i]), kTolerance));
  }
}

TEST_CASE("losses of many rows equal their twins made of small ops", "[ops]") {
  Generator generator(17);
  const Shape shape{300, 7};
  const Tensor x(normal(shape, generator), true), target(normal(shape, generator), true);
  Indices classes = empty<Indices>({300});
  for (std::int64_t& c : classes) c = static_cast<std::int64_t>(generator.below(7));
  const Array z = uniform(shape, 0, 1, generator), p = uniform({7}, Real(0.5), 3, generator);
  const auto check_twins = [&](const Tensor& loss, const Tensor& twin, const Tensors& leaves) {
    CHECK_THAT(double(loss.item()), WithinRel(double(twin.item()), 10 * kTolerance));
    const Gradients g = gradients(loss, leaves), expected = gradients(twin, leaves);
    for (std::size_t k = 0; k < leaves.size(); ++k) {
      const Array a = dense(g[k]).value(), b = dense(expected[k]).value();
      for (std::size_t i = 0; i < a.size(); ++i)
        REQUIRE_THAT(double(a.data()[i]), WithinAbs(double(b.data()[i]), kTolerance));
    }
  };
  check_twins(mse_loss(x, target), mean(pow(x - target, 2)), {x, target});
  check_twins(mse_loss(x, target) * 3, mean(pow(x - target, 2)) * 3, {x, target});
  check_twins(softmax_cross_entropy(x, classes), nll_loss(log_softmax(x, 1), classes), {x});
  const Tensor s = sigmoid(x);
  check_twins(bce_with_logits(x, z, p),
              -mean(Tensor(p) * Tensor(z) * log(s) + Tensor(full(shape, 1) - z) * log(1 - s)), {x});
}

TEST_CASE("a logit far out on the right side still has a gradient", "[ops]") {
  const double far = kFloat ? 30 : 60;
  for (double side : {1., -1.}) {
    const Tensor x(array({}, {side * far}), true);
    const Array target = array({}, {side > 0 ? 1. : 0.});
    const Tensor dx = dense(gradients(bce_with_logits(x, target), {x})[0]);
    CHECK_THAT(double(dx.item()), WithinRel(-side * std::exp(-far), 1e-5));
  }
}

// A rule that reads a value which `unread` lists would give wrong gradients without a word.
TEST_CASE("an input that is changed in place is noticed, or does no harm", "[ops]") {
  std::set<std::string> harmless;
  Generator generator(18);
  for (const Row& row : table()) {
    for (std::size_t k = 0; k < row.inputs.size(); ++k) {
      Xs xs;
      for (const Array& x : row.inputs) xs.emplace_back(x, true);
      const Tensor y = row.f(xs), loss = sum(y * Tensor(normal(y.shape(), generator)));
      const Gradients before = gradients(loss, xs, false, true);
      xs[k].mutable_value().fill(Real(0.77));
      Gradients after;
      try {
        after = gradients(loss, xs);
      } catch (const std::logic_error&) {
        continue;
      }
      harmless.insert(row.name.substr(0, row.name.find(' ')));
      INFO(row.name << ", input " << k);
      for (std::size_t i = 0; i < xs.size(); ++i) {
        REQUIRE(before[i].index() == after[i].index());
        if (before[i].index() != 0) CHECK((dense(before[i]).value() == dense(after[i]).value()));
      }
    }
  }
  CHECK(missing({"where", "gather_rows", "weighted_rows", "max_rows", "unfold", "fold"},
                harmless) == "");
}

TEST_CASE("no gradient is worked out that nobody wants", "[ops]") {
  struct Wanted : Observer {
    std::string inputs;
    void on_backward(const Tensor& y, const Tensors&, const Gradients& dx) override {
      if (y.node()->op == std::string("sum_to")) return;
      for (const Gradient& d : dx) inputs += std::holds_alternative<Tensor>(d) ? 'x' : '-';
    }
  };
  const Array ones = full({2, 2}, 1);
  for (std::size_t k = 0; k < 3; ++k) {  // only input k requires a gradient
    const Tensor x(ones, k == 0), w(ones, k == 1), b(full({2}, 1), k == 2);
    const auto wanted = [](const Tensor& y) {
      const Tensor loss = sum(y);
      const Wanted watch;
      backward(loss);
      return watch.inputs;
    };
    CHECK(wanted(linear(x, w, b)) == std::string(k, '-') + 'x' + std::string(2 - k, '-'));
    if (k < 2) CHECK(wanted(matmul(x, w)) == (k == 0 ? "x-" : "-x"));
    if (k == 0) CHECK(wanted(mse_loss(x, w)) == "x-");
  }
}

TEST_CASE("1 + x and 1 / x", "[ops]") {
  const Tensor x = tensor({3}, {1, -2, 4});
  check_values(1 + x, {3}, {2, -1, 5});
  check_values(x + 1, {3}, {2, -1, 5});
  check_values(1 / x, {3}, {1, -0.5, 0.25});
}

TEST_CASE("values of minimum, min, clamp and var", "[ops]") {
  const Tensor a = tensor({2, 3}, {1, 5, 3, -4, 0, 3});
  check_values(minimum(a, tensor({3}, {2, 2, 2})), {2, 3}, {1, 2, 2, -4, 0, 2});
  check_values(min(a), {}, {-4});
  check_values(min(a, {0}), {3}, {-4, 0, 3});
  check_values(min(a, {1}, true), {2, 1}, {1, -4});
  check_values(clamp(a, -1, 3), {2, 3}, {1, 3, 3, -1, 0, 3});
  check_values(clamp(a, 3, 1), {2, 3}, {1, 1, 1, 1, 1, 1});  // as in PyTorch
  const Tensor b = tensor({2, 2}, {1, 5, 2, 8});
  check_values(var(b), {}, {10});  // mean 4: (9 + 1 + 4 + 16) / 3
  check_values(var(b, {1}), {2}, {8, 18});
  check_values(var(b, {1}, false, true), {2, 1}, {4, 9});
  check_values(var(b, {0}), {2}, {0.5, 4.5});
  check_values(var(tensor({1}, {7}), {0}, false), {}, {0});
  check_values(var(tensor({2, 0}, {}), {0}), {0}, {});
  CHECK(invalid([] { var(tensor({1}, {7})); }) == "var: needs at least 2 elements, [1] has 1 each");
  CHECK(invalid([] {
          var(tensor({0, 2}, {}), {0}, false);
        }) == "var: needs at least 1 elements, [0, 2] has 0 each");
  CHECK(outside([&] { var(a, {2}); }) == "var: axis 2 is outside [2, 3]");
  CHECK(outside([&] { min(a, {2}); }) == "min: axis 2 is outside [2, 3]");
  CHECK(invalid([] { min(tensor({0}, {})); }) == "min: [0] has no elements to choose from");
  CHECK(invalid([&] { minimum(a, b); }) == "minimum: shapes [2, 3] and [2, 2] do not broadcast");
}

TEST_CASE("values of erf and the activations made of others", "[ops]") {
  const Tensor x = tensor({3}, {0, 1, -2});
  check_values(erf(x), {3}, {0, 0.8427007929497149, -0.9953222650189527});
  check_values(gelu(x), {3}, {0, 0.8413447460685429, -0.04550026389635842});
  check_values(silu(x), {3}, {0, 0.7310585786300049, -0.2384058440442351});
  check_values(leaky_relu(x), {3}, {0, 1, -0.02});
  check_values(leaky_relu(x, Real(0.5)), {3}, {0, 1, -1});
  check_values(softplus(x), {3}, {0.6931471805599453, 1.3132616875182228, 0.1269280110429725});
  check_values(softplus(tensor({2}, {1000, -1000})), {2}, {1000, 0});
  const Real small = softplus(tensor({}, {-20})).item();  // log(1 + e^-20) would be 0 in float
  CHECK_THAT(double(small), WithinRel(2.0611536181902037e-09, 1e-5));
}

TEST_CASE("the newer ops at kinks, ties and NaN do as PyTorch's do", "[ops]") {
  const auto slope = [](const std::function<Tensor(const Tensor&)>& f) {
    const Tensor x(array({3}, {-1, 0, 2}), true);
    return dense(gradients(sum(f(x)), {x})[0]);
  };
  check_values(slope([](const Tensor& x) { return clamp(x, 0, 2); }), {3}, {0, 1, 1});
  check_values(slope([](const Tensor& x) { return minimum(x, zeros({})); }), {3}, {1, 0.5, 0});
  check_values(slope([](const Tensor& x) { return leaky_relu(x, Real(0.25)); }), {3},
               {0.25, 0.25, 1});
  check_values(slope([](const Tensor& x) { return softplus(x); }), {3},
               {0.2689414213699951, 0.5, 0.8807970779778823});
  const Tensor equal(array({4}, {0, 3, 0, 1}), true);
  check_values(dense(gradients(min(equal), {equal})[0]), {4}, {0.5, 0, 0.5, 0});
  const Tensor nan = tensor({1}, {std::nan("")}), one = tensor({1}, {1});
  for (const Tensor& y : {minimum(nan, one), minimum(one, nan), min(nan), clamp(nan, 0, 1),
                          leaky_relu(nan), softplus(nan), gelu(nan), silu(nan), erf(nan)})
    CHECK(std::isnan(y.item()));
}

TEST_CASE("values of squeeze, unsqueeze, flatten and select", "[ops]") {
  const Tensor a = tensor({2, 1, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(squeeze(a, 1).shape() == Shape{2, 3});
  CHECK(unsqueeze(a, 0).shape() == Shape{1, 2, 1, 3});
  CHECK(unsqueeze(a, 3).shape() == Shape{2, 1, 3, 1});
  check_values(flatten(a), {6}, {1, 2, 3, 4, 5, 6});
  CHECK(flatten(a, 1).shape() == Shape{2, 3});
  CHECK(flatten(a, 2).shape() == Shape{2, 1, 3});
  CHECK(flatten(tensor({}, {1})).shape() == Shape{1});
  CHECK(flatten(tensor({0, 2}, {})).shape() == Shape{0});
  check_values(select(a, 0, 1), {1, 3}, {4, 5, 6});
  check_values(select(a, 2, 1), {2, 1}, {2, 5});
  check_values(select(select(a, 1, 0), 0, 0), {3}, {1, 2, 3});
  CHECK(outside([&] { squeeze(a, 3); }) == "squeeze: axis 3 is outside [2, 1, 3]");
  CHECK(invalid([&] { squeeze(a, 0); }) == "squeeze: axis 0 of [2, 1, 3] must have length 1");
  CHECK(outside([&] { unsqueeze(a, 4); }) ==
        "unsqueeze: axis 4 is outside [2, 1, 3] with one axis more");
  CHECK(outside([&] { flatten(a, 3); }) == "flatten: axis 3 is outside [2, 1, 3]");
  CHECK(outside([&] { select(a, 3, 0); }) == "select: axis 3 is outside [2, 1, 3]");
  CHECK(outside([&] { select(a, 2, 3); }) == "select: index 3 is outside axis 2 of [2, 1, 3]");
}

TEST_CASE("tensors made from sizes and ids, and argmax", "[ops]") {
  check_values(zeros({2, 1}), {2, 1}, {0, 0});
  check_values(ones({2}), {2}, {1, 1});
  check_values(arange(3), {3}, {0, 1, 2});
  check_values(arange(0), {0}, {});
  check_values(one_hot({2, 0}, 3), {2, 3}, {0, 0, 1, 1, 0, 0});
  CHECK(one_hot(Indices{{0, 1, 1}}, 2).shape() == Shape{1, 3, 2});
  check_values(one_hot(Indices(1), 2), {2}, {0, 1});
  CHECK_FALSE(ones({2}).requires_grad());
  CHECK(outside([] {
          one_hot({0, 3}, 3);
        }) == "one_hot: index 3 at [1] is outside a table of 3 rows");
  const Tensor a = tensor({2, 3}, {1, 5, 5, 7, 0, -1});
  CHECK((argmax(a, 1) == Indices{1, 0}));  // the first among equals
  CHECK((argmax(a, 0) == Indices{1, 0, 0}));
  CHECK((argmax(tensor({2, 2, 2}, {1, 2, 3, 0, 5, 5, 4, 6}), 1) == Indices{{1, 0}, {0, 1}}));
  CHECK((argmax(tensor({3}, {1, std::nan(""), 2}), 0) == Indices(1)));
  CHECK(argmax(tensor({3, 0}, {}), 0).shape() == Shape{0});
  CHECK((argmax(one_hot({2, 0, 1}, 3), 1) == Indices{2, 0, 1}));
  CHECK(outside([&] { argmax(a, 2); }) == "argmax: axis 2 is outside [2, 3]");
  CHECK(invalid([] {
          argmax(tensor({0, 2}, {}), 0);
        }) == "argmax: [0, 2] has no elements to choose from");
}
