// check_gradients refuses each kind of wrong rule, and accepts the right one.
#include <cmath>

#include "core/core.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

#ifdef GRADWALK_DOUBLE
namespace {

// y = x^3, with a rule that is given.
Tensor cube(const Tensor& x, const Rule& rule) {
  return record("cube", {x}, pow(x, 3).value(), rule);
}

// What check_gradients says about dy and x made into a gradient by `f`.
template <class F>
std::string verdict(int order, F f) {
  const Tensor x(Array{0.5, -1, 2}, true);
  return error_of([&] {
    check_gradients(
        [&] {
          return cube(x, [&](const Tensor&, const Tensor& dy) -> Gradients { return {f(dy, x)}; });
        },
        {x}, order);
  });
}

// The same numbers, cut off from the graph.
Tensor cut(const Tensor& x) { return Tensor(x.value()); }

}  // namespace

TEST_CASE("check_gradients refuses what is wrong by 0.1 %, and finds the order", "[gradcheck]") {
  const std::string right = "nothing was thrown";
  const auto first =
                 ContainsText("check_gradients: first-order derivative with respect to input 0"),
             recorded = ContainsText("first-order create_graph derivative with respect to input 0"),
             second = ContainsText("second-order derivative with respect to input ");
  const auto slope = [](const Tensor& x) { return 3 * x * x; };
  SECTION("a right rule") {
    CHECK(verdict(2, [&](const Tensor& dy, const Tensor& x) { return dy * slope(x); }) == right);
  }
  SECTION("a wrong first derivative") {
    const auto rule = [&](const Tensor& dy, const Tensor& x) { return dy * slope(x) * 1.001; };
    CHECK_THAT(verdict(1, rule), first);
  }
  SECTION("a derivative that is no number") {
    const auto rule = [&](const Tensor& dy, const Tensor&) { return dy * Real(NAN); };
    CHECK_THAT(verdict(1, rule), first);
  }
  SECTION("no derivative") {
    const auto rule = [&](const Tensor&, const Tensor&) { return Gradient{}; };
    CHECK_THAT(verdict(1, rule), first);
  }
  SECTION("a wrong derivative under create_graph only") {
    const auto rule = [&](const Tensor& dy, const Tensor& x) {
      return dy * slope(x) * (grad_enabled() ? 1.001 : 1);
    };
    CHECK(verdict(1, rule) == right);
    CHECK_THAT(verdict(2, rule), recorded);
  }
  SECTION("a right first derivative whose own derivative is wrong") {
    const auto rule = [&](const Tensor& dy, const Tensor& x) {
      return dy * (slope(x) * 1.001 - cut(slope(x)) * 0.001);
    };
    CHECK(verdict(1, rule) == right);
    CHECK_THAT(verdict(2, rule), second);
  }
  SECTION("a rule that cuts x off the graph") {
    const auto rule = [&](const Tensor& dy, const Tensor& x) { return dy * slope(cut(x)); };
    CHECK(verdict(1, rule) == right);
    CHECK_THAT(verdict(2, rule), second);
  }
  SECTION("a rule that cuts dy off the graph") {
    const auto rule = [&](const Tensor& dy, const Tensor& x) { return cut(dy) * slope(x); };
    CHECK(verdict(1, rule) == right);
    CHECK_THAT(verdict(2, rule), second);
  }
}

TEST_CASE("check_gradients perturbs what is not read, and puts it back", "[gradcheck]") {
  const Array start{0.1, 0.2, 0.3};
  Tensor x(start, true);
  // a rule that gives the unread first number a gradient
  CHECK_THAT(error_of([&] {
               check_gradients(
                   [&] {
                     return record("tail", {x}, slice(x, 0, 1, 3).value(),
                                   [](const Tensor&, const Tensor& dy) -> Gradients {
                                     return {pad(dy, 0, 1, 0) + Real(1e-4)};
                                   });
                   },
                   {x}, 1);
             }),
             ContainsText("first-order derivative with respect to input 0 [3]"));
  int calls = 0;
  CHECK(error_of([&] {
          check_gradients(
              [&] {
                if (++calls == 3) throw std::runtime_error("no more");  // x has been moved
                return x * x;
              },
              {x});
        }) == "no more");
  CHECK((x.value() == start));
}
#else
TEST_CASE("check_gradients needs double", "[gradcheck]") {
  CHECK(error_of<std::logic_error>([] {
          check_gradients([] { return Tensor(Array{1}, true); }, {});
        }) == "check_gradients: needs a library compiled for double; use the preset 'double'");
}
#endif
