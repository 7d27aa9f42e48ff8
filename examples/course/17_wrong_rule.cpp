// Chapter 8, gradient checking.
//
// A rule is checked against finite differences, which need only the op's values:
//   dF/dx is about (F(x + eps) - F(x - eps)) / (2 eps)
// check_gradients(f, inputs) does so for f(xs), xs being tensors with the values
// of inputs, and throws std::runtime_error where they disagree. One of these ops
// may have a wrong rule: return its name, or "" if all are right. A rule can be
// wrong for some numbers only, so ask at several, of both signs.
//   check_gradients([&](const Tensors& xs) { return f(xs[0]); }, {x});
// uniform({8}, -2, 2, generator) makes an array x of such numbers.
// In the code base: core/gradcheck.hpp.
#include <stdexcept>
#include <string>

#include "core/gradcheck.hpp"
#include "core/random.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

struct NamedOp {
  std::string name;
  std::function<Tensor(const Tensor& x)> f;  // elementwise: y[i] = f(x[i])
};

// ---- your part ----
std::string wrong_rule(const std::vector<NamedOp>& ops) {
  Generator generator(1);
  todo("wrong_rule must return the name of the op whose derivative is wrong");
}
// ---- end of your part ----
