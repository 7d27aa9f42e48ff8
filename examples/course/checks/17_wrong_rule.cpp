#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

// The value of f, and a rule for it.
NamedOp op(const char* name, std::function<Tensor(const Tensor&)> f,
           std::function<Tensor(const Tensor& x, const Tensor& dy)> rule) {
  return {name, [=](const Tensor& x) {
            const Tensor y = f(x.detach());
            return record(
                "op", {x}, Array(y.value()),
                [=](const Tensor&, const Tensor& dy) -> Gradients { return {rule(x, dy)}; });
          }};
}

void check_exercise() {
  const NamedOp square = op(
      "square", [](const Tensor& x) { return x * x; },
      [](const Tensor& x, const Tensor& dy) { return dy * x * 2; });
  const NamedOp swish = op(
      "swish", [](const Tensor& x) { return x * sigmoid(x); },
      [](const Tensor& x, const Tensor& dy) {
        const Tensor s = sigmoid(x);
        return dy * (s + x * s * (1 - s));
      });
  const NamedOp cube = op(
      "cube", [](const Tensor& x) { return x * x * x; },
      [](const Tensor& x, const Tensor& dy) { return dy * x * x * 3; });
  const NamedOp half = op(
      "half_tanh", [](const Tensor& x) { return tanh(x) * 0.5; },
      [](const Tensor& x, const Tensor& dy) {
        const Tensor t = tanh(x);
        return dy * (1 - t * t);  // wrong: twice as large
      });
  const NamedOp bent = op(
      "bent", [](const Tensor& x) { return abs(x) + x * x; },
      [](const Tensor& x, const Tensor& dy) {
        return dy * (x * 2 + 1);  // wrong: sign(x), where x < 0
      });
  const NamedOp cut = op(
      "cut_exp", [](const Tensor& x) { return exp(x); },
      [](const Tensor& x, const Tensor& dy) {
        return dy * exp(x.detach());  // right, but not to differentiate again
      });
  struct Case {
    const char* what;
    std::vector<NamedOp> ops;
    std::string name, says;
  } const cases[] = {
      {"an op whose rule gives twice the derivative", {square, half, cube}, "half_tanh", ""},
      {"the same op in another place",
       {swish, cube, square, half},
       "half_tanh",
       "Every op of the list has to be asked."},
      {"a rule that is wrong where x < 0",
       {square, bent, swish},
       "bent",
       "Only positive numbers were asked: take some of both signs."},
      {"a rule whose own derivative is wrong",
       {cut, square},
       "cut_exp",
       "Only the first derivative was asked: leave order, the last argument, at 2."},
      {"no wrong rule", {cube, swish, square}, "", "All of these are right. Is \"\" returned?"},
  };
  for (const Case& c : cases) {
    const std::string got = wrong_rule(c.ops);
    const bool missed = got.empty() != c.name.empty();  // which is what the texts are about
    same(c.what, '"' + got + '"', '"' + c.name + '"', missed ? c.says : "Another one was named.");
  }
}

}  // namespace course
