#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

Tensor my_mul(const Tensor& a, const Tensor& b) {
  return record("mul", {a, b}, (a.detach() * b.detach()).value(),
                [a, b](const Tensor&, const Tensor& dy) { return mul_rule(a, b, dy); });
}

void check_exercise() {
  for (const Shape& shape : {Shape{4}, Shape{2, 3}}) {
    Generator generator(shape.size());
    const Tensor a(normal(shape, generator), true), b(normal(shape, generator), true),
        c(normal(shape, generator));
    const NoGrad no_grad;
    const Gradients d = mul_rule(a, b, c);
    if (d.size() != 2) wrong(message("mul has 2 inputs, got ", d.size(), " gradients"), "");
    const std::string no_dy = "dy is left out: the rule must hand on what comes from above.";
    same("dL/da", d[0], (c * b).value(),
         {{(c * a).value(), "This is dL/db: a gets the other factor, b."}, {b.value(), no_dy}});
    same("dL/db", d[1], (c * a).value(),
         {{(c * b).value(), "This is dL/da: b gets the other factor, a."}, {a.value(), no_dy}});
  }
  Generator generator(3);  // and in the engine, also differentiated again
  derivatives("a * b", [](const Tensors& x) { return my_mul(x[0], x[1]); },
              {normal({2, 3}, generator), normal({2, 3}, generator)});
}

}  // namespace course
