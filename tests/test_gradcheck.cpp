// check_gradients refuses each kind of wrong rule, and accepts the right one.
#include <cmath>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

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
        {x}, {order});
  });
}

// The same numbers, cut off from the graph.
Tensor cut(const Tensor& x) { return Tensor(x.value()); }

}  // namespace

#ifdef GRADWALK_DOUBLE
TEST_CASE("check_gradients refuses what is wrong by 0.1 %, and finds the order", "[gradcheck]") {
  const std::string right = "nothing was thrown";
  const std::string rule_of = "check_gradients: the rule of 'cube' for its input 0 [3]: ";
  const auto first = ContainsText(rule_of + "first-order derivative with respect to input 0"),
             recorded = ContainsText(rule_of +
                                     "first-order create_graph derivative with respect to input 0"),
             second = ContainsText("second-order derivative with respect to ");
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
                   {x}, {1});
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
TEST_CASE("check_gradients in float refuses what is wrong by 10 %", "[gradcheck]") {
  const auto wrong = [](int order, Real factor) {
    return verdict(order, [=](const Tensor& dy, const Tensor& x) { return dy * x * x * factor; });
  };
  CHECK(wrong(2, 3) == "nothing was thrown");
  CHECK_THAT(wrong(1, Real(3.3)),
             ContainsText("the rule of 'cube' for its input 0 [3]: first-order derivative"));
  const auto cuts = [](const Tensor& dy, const Tensor& x) { return dy * cut(3 * x * x); };
  CHECK_THAT(verdict(2, cuts), ContainsText("second-order derivative with respect to "));
}
#endif

TEST_CASE("check_gradients names the op that is wrong, the leaf and the worst element",
          "[gradcheck]") {
  const Tensor x(Array{0.5, -1, 2}, true), w(Array{1, 2, 3}, true);
  const auto triple = [](const Tensor& t) {  // 3 t, with a wrong number for element 1
    return record("triple", {t}, (t * Real(3)).value(),
                  [](const Tensor&, const Tensor& dy) -> Gradients {
                    return {dy * Tensor({3, 5, 3})};
                  });
  };
  GradcheckOptions options;
  options.names = {"x", "weight"};
  const std::string text = error_of([&] {
    check_gradients([&] { return tanh(triple(x * w) * Real(0.2)) + w; }, {x, w}, options);
  });
  CHECK_THAT(text, ContainsText(
                       "check_gradients: the rule of 'triple' for its input 0 [3]: "
                       "first-order derivative with respect to 'x' [3]: at [1] the engine says "));
  // two ops use what has a wrong gradient: it can be either
  CHECK_THAT(
      error_of([&] { check_gradients([&] { return triple(x) + exp(x); }, {x}); }),
      ContainsText("check_gradients: the rule of 'exp' for its input 0 [3] or 'triple' for its "
                   "input 0 [3]: "));
}

TEST_CASE("check_gradients says what all elements of a wrong derivative show", "[gradcheck]") {
  const auto times = [](Real factor) {
    return verdict(1, [=](const Tensor& dy, const Tensor& x) { return dy * x * x * (3 * factor); });
  };
  CHECK_THAT(times(0), ContainsText(": no gradient arrives (relative error "));
  CHECK_THAT(times(-1), ContainsText(": the sign is wrong in every element (relative error "));
  CHECK_THAT(times(2), ContainsText(": every element is twice as large (relative error "));
  CHECK_THAT(times(Real(0.5)), ContainsText(": every element is half as large (relative error "));
  const auto only_numbers = [](const std::string& text) {
    return text.find("differences say") < text.size() && text.find(": every") > text.size() &&
           text.find(": no gradient") > text.size();
  };
  CHECK(only_numbers(times(Real(1.5))));
  CHECK(only_numbers(times(Real(NAN))));
  const auto some_twice = [](const Tensor& dy, const Tensor& x) {
    return dy * x * x * Tensor({6, 6, 3});
  };
  CHECK(only_numbers(verdict(1, some_twice)));

  const std::string hint =
      "the first order is right: is the graph cut inside the rule, by value() ";
  const auto cuts = [](const Tensor& dy, const Tensor& x) { return dy * cut(3 * x * x); };
  CHECK_THAT(verdict(2, cuts), ContainsText(hint));
  CHECK_THAT(times(2), !ContainsText(hint));
}

TEST_CASE("check_gradients: where numbers leave the graph, no rule alone is blamed",
          "[gradcheck]") {
  const auto says = [](const std::function<Tensor(const Tensors&)>& f) {
    return error_of([&] { check_gradients(f, {Array{0.5, -1, 2}, Array{3, 1, -2}}, {1}); });
  };
  // what mul gets moves with x, and is outside the graph; x itself goes into add
  CHECK_THAT(says([](const Tensors& x) { return x[0].detach() * x[1] + x[0]; }),
             ContainsText("check_gradients: the rule of 'add' for its input 1 [3], or value(), "
                          "detach() or NoGrad before input 0 [3] of 'mul': first-order "));
  CHECK_THAT(says([](const Tensors& x) { return x[0] * x[1] + cut(exp(x[0] * x[1])); }),
             ContainsText("or value(), detach() or NoGrad before input 1 [3] of 'add': "));
  const auto no_grad = [](const Tensor& x) {
    const NoGrad guard;
    return x * x;
  };
  CHECK_THAT(says([&](const Tensors& x) { return x[1] * no_grad(x[0]) + x[0]; }),
             ContainsText("or value(), detach() or NoGrad before input 1 [3] of 'mul': "));
  // with no other way for x, into an op with several outputs
  CHECK_THAT(says([](const Tensors& x) {
               const Tensor w = x[0].detach(), v = x[1];
               return record_many("both", {w, v}, {(w * cut(v)).value(), v.value()},
                                  [w](const Tensors& dy) -> Gradients {
                                    return {{}, dy[0] * w};
                                  })[0];
             }),
             ContainsText("the rule of no op, but value(), detach() or NoGrad before input 0 [3] "
                          "of 'both': first-order "));
  // a constant that stays where it is; a branch of f that makes fewer ops
  const Tensor constant({1, 2, 3});
  const auto wrong = [](const Tensor& x) {
    return record("wrong", {x}, Array(x.value()),
                  [](const Tensor&, const Tensor& dy) -> Gradients { return {dy * 2}; });
  };
  CHECK_THAT(says([&](const Tensors& x) { return wrong(x[0] * constant) * x[1]; }),
             ContainsText("the rule of 'wrong' for its input 0 [3]: "));
  CHECK_THAT(says([&](const Tensors& x) {
               Tensor y = wrong(x[0] * x[1]);
               for (int i = 0; i < 20 && x[0].value()(0) == Real(0.5); ++i)
                 y = y + constant - constant;
               return y;
             }),
             ContainsText("check_gradients: the rule of 'wrong' for its input 0 [3]: "));
  // the numbers are taken inside an op
  CHECK_THAT(says([](const Tensors& x) {
               return record("times", {x[1]}, Array((x[0] * x[1]).value()),
                             [w = cut(x[0])](const Tensor&, const Tensor& dy) -> Gradients {
                               return {dy * w};
                             });
             }),
             ContainsText("the rule of no op, but value(), detach() or NoGrad: first-order "));
}

TEST_CASE("check_gradients refuses what would check nothing", "[gradcheck]") {
  const Tensor x(Array{1, 2}, true), other(Array{3}, true);
  Generator generator(1);
  const auto refused = [](auto f) { return error_of<std::invalid_argument>(f); };
  CHECK(refused([&] { check_gradients([&] { return x * x; }, {}); }) ==
        "check_gradients: needs leaves, got none");
  CHECK(refused([&] {
          check_gradients([&] { return x * x; }, {x, other});
        }) == "check_gradients: f() does not depend on input 1");
  const auto drop = [&] { return dropout(x * x, 0.5, generator); };
  CHECK(refused([&] {
          for (int k = 0; k < 20; ++k) check_gradients(drop, {x});
        }) == "check_gradients: f() is not the same twice; give the generator that it draws from");
  GradcheckOptions options;
  options.generator = &generator;
  CHECK_NOTHROW(check_gradients(drop, {x}, options));
}

TEST_CASE("check_op finds a rule that agrees with a wrong formula", "[gradcheck]") {
  const std::vector<Array> inputs{Array{1, 2}};
  const auto f = [](const Tensors& x) { return x[0] * x[0]; };
  CHECK_NOTHROW(check_op(f, inputs, Array{1, 4}));
  CHECK(error_of([&] {
          check_op(f, inputs, Array{1, 4.5});
        }) == "check_op: 'mul' made 4 at [1], expected 4.5");
  CHECK(error_of([&] {
          check_op(f, inputs, Array{{1, 4}});
        }) == "check_op: 'mul' made [2], expected [1, 2]");
}
