// Gradients of tables: rows that repeat, join, coalesce and meet dense gradients.
#include <map>

#include "core/core.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops/lookup.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

using Rows = std::vector<std::int64_t>;
using Numbers = std::vector<Real>;

Indices ids(const Rows& values) {
  Indices a = empty<Indices>({values.size()});
  std::copy(values.begin(), values.end(), a.data());
  return a;
}
Tensor matrix(const Shape& shape, const Numbers& values, bool requires_grad = false) {
  Array a = empty(shape);
  REQUIRE(a.size() == values.size());
  std::copy(values.begin(), values.end(), a.data());
  return Tensor(std::move(a), requires_grad);
}
// one number in each row
RowSparse sparse(const Rows& rows, const Numbers& values, std::size_t num_rows) {
  return {ids(rows), matrix({rows.size(), 1}, values), num_rows};
}
Rows rows_of(const RowSparse& g) { return Rows(g.rows.data(), g.rows.data() + g.rows.size()); }
Numbers numbers(const Tensor& t) { return Numbers(t.value().data(), t.value().data() + t.size()); }
Numbers numbers(const Gradient& g) { return numbers(dense(g)); }

}  // namespace

TEST_CASE("coalesce adds repeated rows, in order of first appearance", "[gradient]") {
  const RowSparse once = coalesce(sparse({5, 2, 5, 0, 2, 5}, {1, 2, 3, 4, 5, 6}, 7));
  CHECK(rows_of(once) == Rows{5, 2, 0});
  CHECK(numbers(once.values) == Numbers{10, 7, 4});
  CHECK(once.values.shape() == Shape{3, 1});
  CHECK(once.num_rows == 7);
  CHECK(once.coalesced);
}

TEST_CASE("coalesce of coalesced rows is the same rows", "[gradient]") {
  const RowSparse once = coalesce(sparse({1, 1}, {2, 3}, 4)), again = coalesce(once);
  CHECK(again.values.node() == once.values.node());  // not even copied
  CHECK(rows_of(again) == Rows{1});
}

TEST_CASE("rows are summed one by one, too", "[gradient]") {
  const std::vector<Numbers> values{{1, 2}, {3, 4}, {5, 6}};
  const auto summed = [](RowSparse g) {
    SummedRows once(std::move(g));
    std::vector<Numbers> sums(once.rows().size());
    once.each([&](std::size_t k, const Real* sum) { sums[k] = {sum[0], sum[1]}; });
    return std::pair(Rows(once.rows().begin(), once.rows().end()), sums);
  };
  const Tensor rows = matrix({3, 2}, {1, 2, 3, 4, 5, 6});
  CHECK(summed({ids({3, 1, 3}), rows, 5}) ==
        std::pair(Rows{3, 1}, std::vector<Numbers>{{6, 8}, {3, 4}}));
  CHECK(summed({ids({3, 1, 0}), rows, 5, true}) ==
        std::pair(Rows{3, 1, 0}, values));  // as they are
  CHECK(summed({ids({}), matrix({0, 2}, {}), 5}).first.empty());
  CHECK(error_of<std::out_of_range>([&] {
          SummedRows({ids({3, 5, 1}), rows, 5});
        }) == "coalesce: index 5 at [1] is outside a table of 5 rows");
}

TEST_CASE("coalesce remembers nothing from the call before", "[gradient]") {
  for (int round = 0; round < 3; ++round) {
    CHECK(rows_of(coalesce(sparse({9, 3, 9}, {1, 1, 1}, 10))) == Rows{9, 3});
    CHECK(rows_of(coalesce(sparse({1, 0}, {1, 1}, 2))) == Rows{1, 0});
    CHECK(rows_of(coalesce(sparse({3, 999}, {1, 1}, 1000))) == Rows{3, 999});
  }
}

TEST_CASE("coalesce costs what its ids cost, however large the table is", "[gradient]") {
  const std::int64_t last = std::int64_t{1} << 47;  // four bytes for each row would be 512 TB
  const RowSparse once = coalesce(sparse({last, 7, last, 0}, {1, 2, 3, 4}, last + 1));
  CHECK(rows_of(once) == Rows{last, 7, 0});
  CHECK(numbers(once.values) == Numbers{4, 2, 4});
}

TEST_CASE("coalesce tells all ids apart, whatever their distance", "[gradient]") {
  // Their hashes meet in many ways: 200 distinct ids and as many repeated in 1600 slots.
  for (std::int64_t step : {1, 2, 1000, 1 << 16, 1 << 20, 0x61c88647}) {
    Rows rows, distinct;
    for (std::int64_t i = 0; i < 200; ++i) distinct.push_back(i * i % 211 * 300 * step + i * step);
    for (std::int64_t row : distinct) rows.insert(rows.end(), {row, distinct[rows.size() / 3]});
    std::map<std::int64_t, Real> sums;
    Numbers values(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
      sums[rows[i]] += values[i] = static_cast<Real>(i + 1);
    const RowSparse once = coalesce(sparse(rows, values, std::size_t{1} << 47));
    REQUIRE(once.rows.size() == sums.size());
    for (std::size_t i = 0; i < sums.size(); ++i)
      CHECK(numbers(once.values)[i] == sums.at(rows_of(once)[i]));
  }
}

TEST_CASE("coalesce of wide blocks and of nothing", "[gradient]") {
  const RowSparse wide{ids({1, 0, 1}), matrix({3, 1, 2}, {1, 2, 3, 4, 5, 6}), 2};
  const RowSparse once = coalesce(wide);
  CHECK(numbers(once.values) == Numbers{6, 8, 3, 4});
  CHECK(once.values.shape() == Shape{2, 1, 2});
  const RowSparse nothing = coalesce(RowSparse{ids({}), matrix({0, 3}, {}), 5});
  CHECK(nothing.rows.size() == 0);
  CHECK(nothing.values.shape() == Shape{0, 3});
  CHECK(nothing.coalesced);
}

TEST_CASE("dense puts the rows where they belong", "[gradient]") {
  CHECK(numbers(Gradient(sparse({2, 0, 2}, {1, 2, 3}, 4))) == Numbers{2, 0, 4, 0});
  CHECK(dense(RowSparse{ids({}), matrix({0, 3}, {}), 2}).shape() == Shape{2, 3});
  const Tensor t = matrix({2}, {1, 2});
  CHECK(dense(t).node() == t.node());
}

TEST_CASE("norm adds repeated rows before it squares", "[gradient]") {
  CHECK_THAT(norm(sparse({1, 2, 1}, {1, 4, 2}, 3)), WithinRel(5., 1e-12));  // (3, 4), not (1, 4, 2)
  CHECK(norm(sparse({1, 1}, {2, -2}, 3)) == 0);
  CHECK_THAT(norm(matrix({2}, {3, -4})), WithinRel(5., 1e-12));
  CHECK(norm(Gradient{}) == 0);
}

TEST_CASE("accumulate: every pair of kinds", "[gradient]") {
  NoGrad guard;
  Gradient none;
  SECTION("into none") {
    accumulate(none, sparse({1}, {2}, 3));
    CHECK(std::holds_alternative<RowSparse>(none));
    accumulate(none, Gradient{});
    CHECK(numbers(none) == Numbers{0, 2, 0});
  }
  SECTION("sparse + sparse: one list after the other") {
    Gradient g = sparse({1}, {2}, 3);
    accumulate(g, sparse({0, 1}, {5, 7}, 3));
    const RowSparse& s = std::get<RowSparse>(g);
    CHECK(rows_of(s) == Rows{1, 0, 1});
    CHECK(numbers(s.values) == Numbers{2, 5, 7});
    CHECK_FALSE(s.coalesced);
    CHECK(s.num_rows == 3);
  }
  SECTION("sparse + sparse of more than twice the table's rows is coalesced") {
    Gradient g = sparse({1, 2, 1, 0}, {2, 3, 4, 1}, 3);
    accumulate(g, sparse({2, 0}, {7, -1}, 3));
    CHECK_FALSE(std::get<RowSparse>(g).coalesced);
    accumulate(g, sparse({2}, {3}, 3));
    const RowSparse& s = std::get<RowSparse>(g);
    CHECK(s.coalesced);
    CHECK(rows_of(s) == Rows{1, 2, 0});
    CHECK(numbers(s.values) == Numbers{6, 13, 0});
  }
  SECTION("two coalesced gradients do not make a coalesced one") {
    Gradient g = coalesce(sparse({1}, {2}, 9));
    accumulate(g, coalesce(sparse({1}, {3}, 9)));
    CHECK_FALSE(std::get<RowSparse>(g).coalesced);
    CHECK(numbers(coalesce(std::get<RowSparse>(g)).values) == Numbers{5});
  }
  SECTION("dense + sparse") {
    Gradient g = matrix({3, 1}, {1, 1, 1});
    accumulate(g, sparse({2, 2}, {5, 7}, 3));
    CHECK(numbers(std::get<Tensor>(g)) == Numbers{1, 1, 13});
  }
  SECTION("sparse + dense") {
    Gradient g = sparse({2, 2}, {5, 7}, 3);
    const Tensor held = matrix({3, 1}, {1, 2, 3});
    accumulate(g, held);
    CHECK(numbers(std::get<Tensor>(g)) == Numbers{1, 2, 15});
    CHECK(numbers(held) == Numbers{1, 2, 3});  // somebody else's
  }
  SECTION("dense + dense, in place only where nobody else looks") {
    Gradient g = matrix({2, 1}, {1, 2});
    const Real* buffer = std::get<Tensor>(g).value().data();
    accumulate(g, matrix({2, 1}, {10, 20}));
    CHECK(numbers(g) == Numbers{11, 22});
    CHECK(std::get<Tensor>(g).value().data() == buffer);
    const Tensor held = std::get<Tensor>(g);
    accumulate(g, matrix({2, 1}, {100, 200}));
    CHECK(numbers(g) == Numbers{111, 222});
    CHECK(numbers(held) == Numbers{11, 22});
    accumulate(g, sparse({}, {}, 2));  // no rows at all
    CHECK(numbers(g) == Numbers{111, 222});
  }
}

TEST_CASE("a lookup's gradient is its rows, and nothing of the table's size", "[gradient]") {
  const Tensor table(full({1000, 2}, 1), true);
  backward(sum(gather_rows(table, ids({7, 3, 7})) * matrix({3, 2}, {1, 2, 3, 4, 5, 6})));
  const RowSparse& g = std::get<RowSparse>(table.grad());
  CHECK(rows_of(g) == Rows{7, 3, 7});
  CHECK(numbers(g.values) == Numbers{1, 2, 3, 4, 5, 6});
  CHECK(g.num_rows == 1000);
  CHECK_FALSE(g.coalesced);
}

TEST_CASE("a table looked up twice, and again in the next backward", "[gradient]") {
  const Tensor table(full({9, 1}, 1), true);
  const auto loss = [&] {
    return sum(gather_rows(table, ids({1, 2}))) + sum(gather_rows(table, ids({2, 4})) * Real(10));
  };
  backward(loss());
  CHECK(std::holds_alternative<RowSparse>(table.grad()));
  CHECK(numbers(table.grad()) == Numbers{0, 1, 11, 0, 10, 0, 0, 0, 0});
  backward(loss());
  CHECK(std::holds_alternative<RowSparse>(table.grad()));
  CHECK(numbers(table.grad()) == Numbers{0, 2, 22, 0, 20, 0, 0, 0, 0});
}

TEST_CASE("ids of two axes: rows and values keep their shape until they are joined", "[gradient]") {
  const Tensor table(full({5, 1}, 1), true), dy = matrix({2, 2, 1}, {1, 2, 3, 4});
  const Indices in{{3, 1}, {3, 0}};
  const bool create_graph = GENERATE(false, true);
  const Gradients once = gradients(sum(gather_rows(table, in) * dy), {table}, create_graph);
  const RowSparse& g = std::get<RowSparse>(once[0]);
  CHECK(g.rows.shape() == Shape{2, 2});
  CHECK(g.values.shape() == Shape{2, 2, 1});
  CHECK(numbers(once[0]) == Numbers{4, 2, 0, 4, 0});
  CHECK(coalesce(g).values.shape() == Shape{3, 1});

  const Tensor loss = sum(gather_rows(table, in) * dy) + sum(gather_rows(table, ids({4})));
  const Gradients joined = gradients(loss, {table}, create_graph);
  CHECK(rows_of(std::get<RowSparse>(joined[0])).size() == 5);
  CHECK(std::get<RowSparse>(joined[0]).values.shape() == Shape{5, 1});
  CHECK(numbers(joined[0]) == Numbers{4, 2, 0, 4, 1});
}

// One table of zeros for the sum, not one for each lookup: a loop over time stays linear.
TEST_CASE("a dense gradient takes each lookup's rows and is dense once it arrives", "[gradient]") {
  struct Partials : Observer {
    std::size_t rows = 0;
    void on_backward(const Tensor&, const Tensors&, const Gradients& dx) override {
      if (auto* d = std::get_if<RowSparse>(&dx[0])) rows += d->rows.size();
    }
  };
  const Tensor table(full({4, 1}, 1), true);
  const Tensor w = matrix({2}, {1, 2});
  const bool create_graph = GENERATE(false, true);
  const auto lookups = {
      gather_rows(table, ids({3, 1}), {}, /*sparse=*/false),
      weighted_rows(table, ids({3, 0}), ids({0, 1}), 2, w, /*sparse=*/false),
      max_rows(table, ids({2, 3}), ids({0, 1}), 2, /*sparse=*/false),
  };
  Tensor loss;
  for (const Tensor& y : lookups) loss = loss.defined() ? loss + sum(y) : sum(y);
  Partials partials;
  const Gradients d = gradients(loss, {table}, create_graph);
  CHECK(partials.rows == 6);
  REQUIRE(std::holds_alternative<Tensor>(d[0]));
  CHECK(numbers(d[0]) == Numbers{2, 1, 1, 3});
}

TEST_CASE("two tables that were handed one gradient keep buffers of their own", "[gradient]") {
  Tensor a(full({3, 1}, 1), true);
  const Tensor b(full({3, 1}, 1), true);
  backward(sum(gather_rows(a, ids({0})) + gather_rows(b, ids({2}))));
  *std::get<RowSparse>(a.mutable_grad()).values.mutable_value().data() = 5;
  CHECK(numbers(b.grad()) == Numbers{0, 0, 1});
}

TEST_CASE("tied weights: a table looked up and multiplied with", "[gradient]") {
  const Tensor table = matrix({3, 2}, {1, 2, 3, 4, 5, 6}, true);
  const Tensor h = gather_rows(table, ids({2, 0}));              // [5 6], [1 2]
  backward(sum(slice(matmul(h, table, false, true), 1, 0, 1)));  // (h0 + h1) . table[0]
  // d table[0] = h0 + h1 = [6 8], and through each lookup table[0] = [1 2]
  CHECK(std::holds_alternative<Tensor>(table.grad()));
  CHECK(numbers(table.grad()) == Numbers{7, 10, 0, 0, 1, 2});
}

TEST_CASE("a table that is the output of an op gets its rows made dense", "[gradient]") {
  const Tensor x = matrix({3, 1}, {1, 2, 3}, true);
  const Tensor table = x * x;
  const Gradients g = gradients(sum(gather_rows(table, ids({2, 2, 0}))), {x, table});
  CHECK(numbers(std::get<Tensor>(g[0])) == Numbers{2, 0, 12});
  CHECK(numbers(g[1]) == Numbers{1, 0, 2});
}

TEST_CASE("a lookup of no ids", "[gradient]") {
  const Tensor table(full({3, 2}, 1), true);
  backward(sum(gather_rows(table, ids({}))));
  CHECK(std::get<RowSparse>(table.grad()).rows.size() == 0);
  CHECK(numbers(table.grad()) == Numbers(6, 0));
  CHECK(norm(table.grad()) == 0);
  backward(sum(table));
  CHECK(numbers(table.grad()) == Numbers(6, 1));
}

TEST_CASE("second derivatives through a lookup", "[gradient]") {
  const Tensor table = matrix({3, 1}, {2, 3, 5}, true);
  const Tensor y = gather_rows(table, ids({1, 1, 2}));
  const Gradients first = gradients(sum(y * y * y), {table}, true);  // 2 * 3 * 3^2, 3 * 5^2
  REQUIRE(std::holds_alternative<RowSparse>(first[0]));
  CHECK(numbers(first[0]) == Numbers{0, 54, 75});
  SECTION("through dense") {
    const Gradients second = gradients(sum(dense(first[0])), {table});
    CHECK(numbers(second[0]) == Numbers{0, 36, 30});
  }
  SECTION("through coalesced rows") {
    const RowSparse once = coalesce(std::get<RowSparse>(first[0]));
    CHECK(rows_of(once) == Rows{1, 2});
    const Gradients second =
        gradients(sum(once.values * once.values), {table});  // 2 * 54 * 36, 2 * 75 * 30
    CHECK(numbers(second[0]) == Numbers{0, 3888, 4500});
  }
  SECTION("two lookups joined under create_graph") {
    const Tensor z = gather_rows(table, ids({1})), w = gather_rows(table, ids({1, 0}));
    const Gradients both = gradients(sum(z * z) + sum(w * w * w), {table}, true);
    CHECK(numbers(both[0]) == Numbers{12, 33, 0});  // 3 * 2^2; 2 * 3 + 3 * 3^2
    CHECK(numbers(gradients(sum(dense(both[0])), {table})[0]) == Numbers{12, 20, 0});
  }
  SECTION("a lookup and a dense use joined under create_graph") {
    const Gradients both =
        gradients(sum(table * table) + sum(pow(gather_rows(table, ids({1})), 3)), {table}, true);
    CHECK(numbers(both[0]) == Numbers{4, 33, 10});
    CHECK(numbers(gradients(sum(dense(both[0])), {table})[0]) == Numbers{2, 20, 2});
  }
}

TEST_CASE("sparse gradients equal dense ones, for any ids", "[gradient]") {
  Generator generator(19);
  const double tolerance = sizeof(Real) == 4 ? 1e-4 : 1e-12;
  for (int round = 0; round < 200; ++round) {
    const std::size_t V = 1 + generator.below(12), D = 1 + generator.below(3),
                      lookups = 1 + generator.below(4);
    const Array start = normal({V, D}, generator);
    const Tensor a(start, true), b(start, true);
    Tensor loss_a(full({}, 0)), loss_b = loss_a;
    for (std::size_t l = 0; l < lookups; ++l) {
      Indices at = empty<Indices>({generator.below(10)});
      for (std::int64_t& id : at) id = static_cast<std::int64_t>(generator.below(V));
      const Tensor w(normal({at.size(), D}, generator));
      const bool padded = generator.below(2) == 0;
      const std::optional<std::int64_t> padding =
          padded ? std::optional<std::int64_t>(generator.below(V)) : std::nullopt;
      loss_a = loss_a + sum(tanh(gather_rows(a, at, padding, true)) * w);
      loss_b = loss_b + sum(tanh(gather_rows(b, at, padding, false)) * w);
    }
    const bool tied = generator.below(4) == 0;
    if (tied) {
      loss_a = loss_a + sum(a * a);
      loss_b = loss_b + sum(b * b);
    }
    backward(loss_a);
    backward(loss_b);
    INFO("round " << round);
    REQUIRE(std::holds_alternative<Tensor>(b.grad()));
    CHECK(std::holds_alternative<Tensor>(a.grad()) == tied);
    const Numbers sparse_numbers = numbers(a.grad()), dense_numbers = numbers(b.grad());
    REQUIRE(sparse_numbers.size() == V * D);
    for (std::size_t i = 0; i < V * D; ++i) {
      REQUIRE_THAT(double(sparse_numbers[i]), WithinAbs(double(dense_numbers[i]), tolerance));
    }
    CHECK_THAT(norm(a.grad()), WithinAbs(norm(b.grad()), 10 * tolerance));
  }
}

TEST_CASE("a gradient describes itself in one line", "[gradient]") {
  RowSparse g = sparse({7, 2, 9, 2, 7, 0, 7}, {1, 2, 3, 4, 5, 6, 7}, 10);
  const GradientSummary summary = describe(g, 2);
  CHECK(summary.sparse);
  CHECK(summary.rows == 7);
  CHECK(summary.distinct == 4);
  CHECK(summary.num_rows == 10);
  CHECK(summary.bytes == 7 * (8 + sizeof(Real)));
  CHECK(summary.dense_bytes == 10 * sizeof(Real));
  CHECK(summary.frequent == std::vector<std::pair<std::int64_t, std::size_t>>{{7, 3}, {2, 2}});
  g.values = matrix({7, 2}, Numbers(14, 1));
  CHECK(message(describe(g)) == message("7 rows of 10, 4 distinct, 3 repeated; ",
                                        7 * (8 + 2 * sizeof(Real)), " bytes instead of ",
                                        20 * sizeof(Real),
                                        "; most frequent: 7 (3 times), 2 (2 times), 0, 9"));
  CHECK(message(describe(sparse({}, {}, 3))) ==
        message("0 rows of 3, 0 distinct, 0 repeated; 0 bytes instead of ", 3 * sizeof(Real)));
  CHECK(message(describe(dense(g))) == message("dense, 10 rows; ", 20 * sizeof(Real), " bytes"));
  CHECK(message(describe({})) == "no gradient");
}

TEST_CASE("norm records nothing, not even of a gradient that can be differentiated", "[gradient]") {
  struct Counter : Observer {
    int ops = 0;
    void on_forward(const char*, const Tensors&, const Tensors&) override { ++ops; }
  };
  const Tensor table = matrix({3, 1}, {1, 2, 3}, true), rows = gather_rows(table, ids({1, 1}));
  const Gradient g = gradients(sum(rows * rows), {table}, true)[0];
  REQUIRE_FALSE(std::get<RowSparse>(g).coalesced);  // so that norm has rows to add up
  REQUIRE(std::get<RowSparse>(g).values.requires_grad());
  const Counter counter;
  CHECK(norm(g) == 8);
  CHECK(counter.ops == 0);
}

TEST_CASE("gradients set by hand are checked where they are used", "[gradient]") {
  const Gradient outside = RowSparse{{7}, Tensor(full({1, 2}, 1)), 4};
  const std::string where = "index 7 at [0] is outside a table of 4 rows";
  CHECK(error_of<std::out_of_range>([&] { coalesce(std::get<RowSparse>(outside)); }) ==
        "coalesce: " + where);
  CHECK(error_of<std::out_of_range>([&] { norm(outside); }) == "coalesce: " + where);
  CHECK(error_of<std::out_of_range>([&] { dense(outside); }) == "scatter_rows: " + where);
  CHECK(error_of<std::out_of_range>([&] {
          const NoGrad guard;
          dense(outside);
        }) == "accumulate: " + where);
  CHECK(error_of<std::out_of_range>([&] { describe(outside); }) == "describe: " + where);
  Tensor w(full({4, 2}, 1), true);
  w.mutable_grad() = Tensor(full({3}, 1));
  CHECK(error_of<std::logic_error>([&] { backward(sum(w)); }) ==
        "backward: a leaf [4, 2] has a .grad() of another shape");
  w.mutable_grad() = RowSparse{{0}, Tensor(full({1, 3}, 1)), 4};
  CHECK(error_of<std::logic_error>([&] { backward(sum(gather_rows(w, Indices{1}))); }) ==
        "backward: a leaf [4, 2] has a .grad() of another shape");
  CHECK(std::get<RowSparse>(w.grad()).values.shape() == Shape{1, 3});  // nothing has changed
  w.mutable_grad() = outside;
  CHECK(error_of<std::out_of_range>([&] { backward(sum(gather_rows(w, Indices{1}))); }) ==
        "backward: " + where);
  CHECK(error_of<std::out_of_range>([&] { accumulate(w.mutable_grad(), outside); }) ==
        "accumulate: " + where);
}
