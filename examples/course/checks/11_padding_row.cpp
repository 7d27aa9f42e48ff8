#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

Array array_of(const std::vector<std::vector<Real>>& rows) {
  Array a = empty({rows.size(), rows.empty() ? 0 : rows[0].size()});
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), &a(i, 0));
  return a;
}

void check_exercise() {
  Generator generator(11);
  for (const std::vector<std::int64_t>& ids :
       {std::vector<std::int64_t>{7, 0, 3, 0}, {5, 5, 2}, {0, 4, 4, 0, 0, 1}}) {
    for (const std::int64_t padding : {0, 5}) {
      Rows g{ids, {}}, kept, zeroed, first;
      for (std::int64_t id : ids) {
        g.rows.push_back({generator.normal(), generator.normal()});
        zeroed.rows.push_back(id == padding ? std::vector<Real>{0, 0} : g.rows.back());
        if (id != padding) kept.ids.push_back(id), kept.rows.push_back(g.rows.back());
      }
      first.rows.assign(g.rows.begin(), g.rows.begin() + kept.ids.size());
      if (kept.ids.empty()) continue;
      const Rows got = without_padding(g, padding);
      const auto list = [](const std::vector<std::int64_t>& v) { return message(Indices(v)); };
      const std::string of = message(" of ", list(ids), " for padding_idx ", padding);
      std::string says;
      if (got.ids == ids)
        says = array_of(got.rows) == array_of(zeroed.rows)
                   ? "Padding has rows of zeros. Leave id and row out, or an optimizer takes it "
                     "for touched."
                   : "Padding is still listed.";
      else if (got.ids == std::vector<std::int64_t>(kept.ids.size(), padding))
        says = "The other way round: only padding is left.";
      same("ids" + of, list(got.ids), list(kept.ids), says);
      same("rows" + of, array_of(got.rows), array_of(kept.rows),
           {{array_of(g.rows), "ids are left out, but their rows are still there."},
            {array_of(first.rows),
             "These are the first rows: row i belongs to id i of the input."}});
    }
  }
}

}  // namespace course
