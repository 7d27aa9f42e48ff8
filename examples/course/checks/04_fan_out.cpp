#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  struct Case {
    const char* name;
    Op op;
    std::vector<double> before;
  } const cases[] = {
      {"y = a - 3 b, nothing there yet", {{0, 1}, {1, -3}}, {0, 0, 0}},
      {"y = a * a for a = 5: a is an input twice", {{1, 1}, {5, 5}}, {0, 0, 0}},
      {"y = 2 c + a, where a and c have got something before", {{2, 0}, {2, 1}}, {4, 0.5, -1}},
  };
  const double dy = 1.5;
  for (const Case& c : cases) {
    std::vector<double> got = c.before;
    Tensor sum(c.before), last(c.before), without_dy(c.before), fresh(zeros({3})),
        by_place(c.before);
    for (std::size_t i = 0; i < c.op.inputs.size(); ++i) {
      const std::size_t input = c.op.inputs[i];
      sum.mutable_value()(input) += dy * c.op.slopes[i];
      fresh.mutable_value()(input) += dy * c.op.slopes[i];
      without_dy.mutable_value()(input) += c.op.slopes[i];
      by_place.mutable_value()(i) += dy * c.op.slopes[i];
      last.mutable_value()(input) = dy * c.op.slopes[i];
    }
    hand_on(c.op, dy, got);
    same(message("the gradients after ", c.name), Tensor(got).value(), sum.value(),
         {{last.value(), "The last path has overwritten the one before it: add, with +=."},
          {without_dy.value(), "dy is left out: each slope is multiplied by it."},
          {by_place.value(), "Input i is the value number op.inputs[i]: gradient[i] is another's."},
          {fresh.value(), "What was there before is lost."},
          {Tensor(c.before).value(), "Nothing has changed: is gradient taken by reference?"}});
  }
}

}  // namespace course
