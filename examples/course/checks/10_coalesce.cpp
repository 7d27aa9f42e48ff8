#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

Array array_of(const std::vector<std::vector<Real>>& rows) {
  Array a = empty({rows.size(), rows.empty() ? 0 : rows[0].size()});
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), &a(i, 0));
  return a;
}

void check_exercise() {
  Generator generator(10);
  for (const std::vector<std::int64_t>& ids :
       {std::vector<std::int64_t>{5, 2}, {4, 0, 4}, {7, 900000, 7, 1, 7, 900000}}) {
    Rows g{ids, {}}, sum, last, sorted;
    for (std::size_t i = 0; i < ids.size(); ++i)
      g.rows.push_back({generator.normal(), generator.normal()});
    std::map<std::int64_t, std::size_t> place;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto [at, is_new] = place.emplace(ids[i], sum.ids.size());
      if (is_new) {
        sum.ids.push_back(ids[i]);
        sum.rows.push_back(g.rows[i]);
        last.rows.push_back(g.rows[i]);
      } else {
        for (std::size_t d = 0; d < 2; ++d) sum.rows[at->second][d] += g.rows[i][d];
        last.rows[at->second] = g.rows[i];
      }
    }
    for (const auto& [id, at] : place) sorted.ids.push_back(id);
    const Rows got = coalesce(g);
    const auto list = [](const std::vector<std::int64_t>& v) { return message(Indices(v)); };
    same("ids of " + list(ids), list(got.ids), list(sum.ids),
         got.ids == ids          ? "They are as they came: each id must be listed once."
         : got.ids == sorted.ids ? "They are sorted; the order of first appearance is asked for."
         : got.ids.empty()       ? "Nothing is listed."
                                 : "");
    same("rows of " + list(ids), array_of(got.rows), array_of(sum.rows),
         {{array_of(last.rows), "Rows are overwritten: add those of one id up."}});
  }
}

}  // namespace course
