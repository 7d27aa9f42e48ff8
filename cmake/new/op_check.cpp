// my_name: numbers worked out by hand, and the rule, to second order, against finite differences.
#include "core/gradcheck.hpp"
#include "core/ops.hpp"

using namespace gradwalk;

void own_check() {
  // x [2, 2] -> y [2, 2]: replace the numbers of the example, y = x^2. Stay away from kinks.
  check_op([](const Tensors& x) { return my_name(x[0]); }, {Array{{-2, -0.5}, {1, 3}}},
           Array{{4, 0.25}, {1, 9}});
}
