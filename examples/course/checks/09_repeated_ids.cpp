#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  Generator generator(9);
  for (const Indices& ids : {Indices{3, 1}, Indices{4, 0, 4, 2, 4}, Indices{2, 2, 2, 2}}) {
    const Tensor dy(normal({ids.size(), 3}, generator));
    const std::size_t V = 6;
    Array last = full({V, 3}, 0), first = last, mean = last, in_order = last;
    std::vector<Real> count(V, 0);
    for (std::int64_t id : ids) ++count[static_cast<std::size_t>(id)];
    for (std::size_t i = ids.size(); i-- > 0;) {
      for (std::size_t d = 0; d < 3; ++d) first(ids(i), d) = dy.value()(i, d);
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      for (std::size_t d = 0; d < 3; ++d) {
        last(ids(i), d) = in_order(i, d) = dy.value()(i, d);
        mean(ids(i), d) += dy.value()(i, d) / count[static_cast<std::size_t>(ids(i))];
      }
    }
    same(message("dL/dtable for ids ", ids), gather_rule(ids, dy.value(), V),
         scatter_rows(dy, ids, V).value(),
         {{last, "Rows are overwritten: of a repeated id only the last counts. Add, with +=."},
          {first, "Of a repeated id only the first counts. Add them all."},
          {mean, "The mean over a repeated id; its gradients add up."},
          {in_order, "Row i of dy went to row i: it belongs to row ids(i)."},
          {dy.value(), "This is dy itself: its rows have to go to rows ids(i) of [V, D]."}});
  }
}

}  // namespace course
