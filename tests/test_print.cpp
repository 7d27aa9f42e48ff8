// What tensors, arrays, ids, gradients and modules look like when they are printed.
#include <iostream>
#include <locale>
#include <sstream>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

namespace {

template <class T>
std::string printed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

// Outside of gradwalk and of `using namespace gradwalk`, where only the types can tell.
TEST_CASE("an array is printed without a name from gradwalk, and by Catch2", "[print]") {
  const gradwalk::Array a{{1, 2}, {-3, 40}};
  CHECK(printed(a) == "[[ 1,  2],\n [-3, 40]]");
  CHECK(Catch::Detail::stringify(a) == printed(a));
  CHECK(Catch::Detail::stringify(gradwalk::Indices{1, 2}) == "[1, 2]");
  CHECK(printed(gradwalk::Gradient()) == "none");
}

using namespace gradwalk;

TEST_CASE("numbers stand in columns", "[print]") {
  CHECK(printed(Array{1, 0.5, -20}) == "[  1.0000,   0.5000, -20.0000]");
  CHECK(printed(Array(Real(3))) == "3");
  CHECK(printed(Array{{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}}) ==
        "[[[1, 2],\n  [3, 4]],\n\n [[5, 6],\n  [7, 8]]]");
  CHECK(printed(Array{1, 1e-6}) == "[1.0000e+00, 1.0000e-06]");
  CHECK(printed(Array{123456.5, 1}) == "[1.2346e+05, 1.0000e+00]");
  CHECK(printed(Array{123456, 0}) == "[123456,      0]");
  CHECK(printed(Array{1, std::numeric_limits<Real>::quiet_NaN(),
                      -std::numeric_limits<Real>::infinity()}) == "[   1,  nan, -inf]");
  CHECK(printed(Indices{{1, 20}, {3, 4}}) == "[[ 1, 20],\n [ 3,  4]]");
  CHECK(printed(Indices{1234567890123}) == "[1234567890123]");
  CHECK(printed(SharedIndices{1, 2}) == "[1, 2]");
}

TEST_CASE("long axes are shortened to their ends, and long lines broken", "[print]") {
  const Array a = arange(1001).value();
  CHECK(printed(a) == "[   0,    1,    2, ...,  998,  999, 1000]  [1001]");
  CHECK(printed(Array(xt::zeros<Real>({501, 2}))) ==
        "[[0, 0],\n [0, 0],\n [0, 0],\n ...,\n [0, 0],\n [0, 0],\n [0, 0]]  [501, 2]");
  CHECK(printed(full({0, 3}, 0)) == "[]  [0, 3]");
  CHECK(printed(full({1000000, 0}, 0)) == "[]  [1000000, 0]");
  const std::string lines = printed(full({30}, 0));  // 26 to a line
  CHECK(lines.substr(73) == "0, 0,\n 0, 0, 0, 0]");
}

TEST_CASE("a tensor says what made it", "[print]") {
  const Tensor a({{1, 2}, {3, 4}}), w({{1, 1}, {1, 1}}, true);
  CHECK(printed(a) == "[[1, 2],\n [3, 4]]  [2, 2]");
  CHECK(printed(a * w) == "[[1, 2],\n [3, 4]]  mul [2, 2] requires_grad");
  CHECK(printed(sum(a)) == "10  sum_to []");
  CHECK(printed(Tensor()) == "undefined tensor");
}

TEST_CASE("a gradient is printed as what it is", "[print]") {
  const Tensor table(full({5, 2}, 1), true), x({1, 2, 3}, true);
  CHECK(printed(x.grad()) == "none");
  backward(sum(gather_rows(table, Indices{3, 0})) + sum(x * 2));
  CHECK(printed(x.grad()) == "[2, 2, 2]  scale [3]");
  CHECK(printed(table.grad()) == "rows [3, 0] of 5\n[[1, 1],\n [1, 1]]  broadcast_to [2, 2]");
  CHECK(printed(Gradient(Slice{Tensor({7}), {3}, 0, 1})) == "[0, 7, 0]  [3]");
}

TEST_CASE("a module is printed as the table of its parameters", "[print]") {
  Generator g(1);
  Sequential model;
  model.append<Linear>(16, 20, g).append<ReLU>().append<Linear>(20, 2, g);
  CHECK(printed(model) ==
        "0.weight  [20, 16]  320\n"
        "0.bias    [20]       20\n"
        "2.weight  [2, 20]    40\n"
        "2.bias    [2]         2\n"
        "total               382");
  CHECK(printed(ReLU()) == "total    0");
}

TEST_CASE("printing does not depend on the locale, and leaves the stream as it was", "[print]") {
  struct Commas : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  std::ostringstream out;
  out.imbue(std::locale(out.getloc(), new Commas));
  Generator g(1);
  const Tensor big(full({2000, 2000}, 0.5));
  out << Array{0.5, 1000} << big << Indices{10000} << Linear(100, 20, g)
      << Gradient(RowSparse{{1}, Tensor({{1, 2}}), 5000});
  CHECK(out.str().find("1000.0000]") != std::string::npos);
  CHECK(out.str().find("[2000, 2000]") != std::string::npos);
  CHECK(out.str().find("[10000]") != std::string::npos);
  CHECK(out.str().find("2020") != std::string::npos);
  CHECK(out.str().find("of 5000") != std::string::npos);
  out.str("");
  out << 0.25;
  CHECK(out.str() == "0,25");
}
