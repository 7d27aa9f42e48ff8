#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

// A graph on which order matters: 1 is used by 2, 3 and 5; 2 by 3 and 4; 6 is the loss, 0 and 1 are
// leaves, and 9 uses 6, which no one may visit.
const std::map<int, Sums> kSlopes = {{0, {}},
                                     {1, {}},
                                     {2, {{0, 2}, {1, -1}}},
                                     {3, {{1, 0.5}, {2, 3}}},
                                     {4, {{2, 1.5}, {3, -2}}},
                                     {5, {{1, 4}, {4, 0.25}}},
                                     {6, {{3, 1}, {4, 2}, {5, -1}}},
                                     {9, {{6, 1}}}};

void check_exercise() {
  Sums wanted{{6, 1}};
  for (int id = 6; id >= 0; --id) {
    for (const auto& [input, slope] : kSlopes.at(id)) wanted[input] += wanted[id] * slope;
  }
  std::vector<int> order;
  const Sums got = walk(6, [&](int id, double dy) {
    if (kSlopes.count(id) == 0) wrong(message("rule(", id, ", ...): there is no such value"), "");
    if (!order.empty() && order.back() == id)
      wrong(message("the rule of value ", id, " ran twice in succession"),
            "It was not taken out of waiting: erase it before its rule runs.");
    for (int before : order) {
      if (before == id)
        wrong(message("the rule of value ", id, " ran twice"),
              "It had its turn before everything that uses it. An input is older than what uses "
              "it: so the youngest in waiting is finished, and no other is for certain.");
    }
    order.push_back(id);
    if (id == 6 && dy != 1) wrong(message("the loss began with ", dy), "dloss/dloss is 1.");
    Sums handed;
    for (const auto& [input, slope] : kSlopes.at(id)) handed[input] = dy * slope;
    return handed;
  });
  for (const auto& [id, gradient] : wanted) {
    if (got.count(id) == 0)
      wrong(message("value ", id, " is not in the result"),
            "finished holds each value that was taken out of waiting, leaves and loss as well.");
    std::vector<Real> last{0};
    for (int user = 6; user > id; --user) {
      if (kSlopes.count(user) && kSlopes.at(user).count(id))
        last[0] = got.count(user) ? got.at(user) * kSlopes.at(user).at(id) : 0;
    }
    same(message("dloss/d", id), got.at(id), gradient,
         {{number(last[0]), "The last path has overwritten those before it: add to waiting."}});
  }
  same("how many values have a gradient", static_cast<double>(got.size()), 7);
}

}  // namespace course
