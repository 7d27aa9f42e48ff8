#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  Generator generator(1);
  const Array dy = normal({3, 4}, generator);
  for (const Shape& to : {Shape{1, 4}, Shape{3, 1}, Shape{1, 1}, Shape{3, 4}}) {
    const Array sum = sum_to(Tensor(dy), to).value();
    Array last = full(to, 0);  // each overwrites the one before
    for (std::size_t n = 0; n < 3; ++n) {
      for (std::size_t d = 0; d < 4; ++d) last(to[0] == 1 ? 0 : n, to[1] == 1 ? 0 : d) = dy(n, d);
    }
    const Real count = static_cast<Real>(dy.size() / sum.size());
    same(message("dy [3, 4] summed to ", to), undo_broadcasting(dy, to[0], to[1]), sum,
         {{dy, "This is dy itself: the sum is missing."},
          {last, "Only the last one is left: each number overwrites the one before. Add them."},
          {(Tensor(sum) * (1 / count)).value(), "The mean instead of the sum."}});
  }
}

}  // namespace course
