// Chapter 7, optimizers.
//
// SGD with momentum moves w also when g is 0, because b goes on:
//   b = momentum * b + g      w -= lr * b
// A row of a table mostly has no gradient. A lazy optimizer then leaves it alone:
// cheap, but not the same numbers. An exact one takes the steps that were missed,
// with g = 0, when the row is next read or gets a gradient. row.last is the
// number of the last step that the row has taken.
// In the code base: SparsePolicy in optim/optimizer.hpp, optim/exact_rows.cpp.
#include "examples/course/todo.hpp"

struct Row {
  double w, b = 0;
  int last = 0;
};
constexpr double momentum = 0.5, lr = 0.1;

// ---- your part ----
// Step number t, whatever was missed before; then row.last is t.
void lazy_step(Row& row, double g, int t) { todo("lazy_step must move b, w and last"); }
// Takes the missed steps up to number t, that one included.
void catch_up(Row& row, int t) { todo("catch_up must take the steps up to t with g = 0"); }
// Step number t after all that were missed.
void exact_step(Row& row, double g, int t) { todo("exact_step must catch up, then step"); }
// ---- end of your part ----
