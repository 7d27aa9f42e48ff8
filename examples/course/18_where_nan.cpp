// Chapter 9, stepping through.
//
// One NaN in a step, and after it everything is NaN. Where was it born? While a
// NanTrap lives, the first op or rule that makes a NaN or an infinity from finite
// numbers throws std::runtime_error, whose what() names it:
//   nan trap: 'log' made nan at [1] of [2], where the inputs are -1
// 1. Run one step, loss and backward(), under a trap and return that text; "" if
//    nothing was trapped.
// 2. |x| = sqrt(sum of x^2) has a rule that divides by 0 at x = 0, where the norm
//    has a kink. Mend norm(): its gradient at 0 must be finite, and its values
//    must stay as they are to 1e-9.
// In the code base: core/observer.hpp. In gdb: gw until-nan (docs/debugger.md).
#include <stdexcept>
#include <string>

#include "core/autograd.hpp"
#include "core/observer.hpp"
#include "core/ops.hpp"
#include "examples/course/todo.hpp"
using namespace gradwalk;

// ---- your part ----
std::string where_nan(const std::function<Tensor()>& loss) {
  todo("where_nan must return what a NanTrap says about one step of the loss");
}
Tensor norm(const Tensor& x) { return sqrt(sum(x * x)); }
// ---- end of your part ----
