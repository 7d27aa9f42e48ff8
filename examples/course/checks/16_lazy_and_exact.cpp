#include EXERCISE
#include "examples/course/checks/check.hpp"
#include "optim/sgd.hpp"
namespace course {

const std::map<int, double> gradient{{1, 1.0}, {4, -0.5}, {5, 0.25}, {9, 2.0}};  // of the row
constexpr int kSteps = 12;

// w of a table's row 0 after each step; in the other steps row 1 has a gradient.
std::vector<double> library(SparsePolicy policy) {
  Tensor table(full({2, 1}, 3), true);
  SgdOptions options;
  options.lr = lr, options.momentum = momentum, options.policy = policy;
  SGD sgd({table}, options);
  std::vector<double> w{3};
  for (int t = 1; t <= kSteps; ++t) {
    const bool touched = gradient.count(t) > 0;
    table.mutable_grad() =
        RowSparse{Indices{touched ? 0 : 1}, Tensor(full({1, 1}, touched ? gradient.at(t) : 1)), 2};
    sgd.step();
    w.push_back(table.value()(0, 0));
  }
  return w;
}

void check_exercise() {
  const std::vector<double> lazy = library(SparsePolicy::kLazy),
                            exact = library(SparsePolicy::kExact);
  Row row{3};
  for (const auto& [t, g] : gradient) {
    const double before = row.w;
    lazy_step(row, g, t);
    same(
        message("lazy: w after step ", t), row.w, lazy[static_cast<std::size_t>(t)],
        {{number(exact[static_cast<std::size_t>(t)]), "This is exact's number: lazy misses steps."},
         {number(before - lr * g), "b is not used: w moves by lr * b, not by lr * g."},
         {number(before), "w has not moved."}});
    same(message("lazy: last after step ", t), row.last, t);
  }
  Row a{3};
  double one_more_w = 3, one_more_b = 0;  // a row that catches up to t instead of t - 1
  for (const auto& [t, g] : gradient) {
    for (int i = a.last; i < t; ++i) one_more_w -= lr * (one_more_b *= momentum);
    one_more_w -= lr * (one_more_b = momentum * one_more_b + g);
    const Row before = a;
    exact_step(a, g, t);
    const double fades = std::pow(momentum, t - before.last);
    same(message("exact: w after step ", t), a.w, exact[static_cast<std::size_t>(t)],
         {{number(lazy[static_cast<std::size_t>(t)]),
           "This is lazy's number: the steps that the row has missed are left out."},
          {number(one_more_w), "One step too many: exact_step catches up to t - 1, not to t."},
          {number(before.w - lr * (fades * before.b + g)),
           "b fades in the missed steps, but w must move in each of them, too."}});
    same(message("exact: last after step ", t), a.last, t);
  }
  catch_up(a, kSteps);
  same("exact: w when it is read after step 12", a.w, exact[kSteps],
       {{number(exact[9]), "catch_up() did nothing."},
        {number(exact[kSteps - 1]), "One step too few: step t itself is to be taken, too."}});
  same("exact: last after catch_up(row, 12)", a.last, kSteps);
  catch_up(a, kSteps);
  same("exact: w when it is read once more", a.w, exact[kSteps],
       {{number(a.w), "A second reading moved it again: a step is taken once, row.last counts."}});
}

}  // namespace course
