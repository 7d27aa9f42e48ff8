#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  Generator generator(8);
  const Tensor table(normal({6, 3}, generator));
  for (const Indices& ids : {Indices{4, 0, 4, 2}, Indices{1}, Indices{0, 1, 2, 3, 4, 5, 2}}) {
    std::vector<std::int64_t> in_order, before, after;
    for (std::int64_t id : ids) {
      in_order.push_back(static_cast<std::int64_t>(in_order.size()) % 6);
      before.push_back((id + 5) % 6), after.push_back((id + 1) % 6);
    }
    const auto rows = [&](const Indices& which) { return gather_rows(table, which).value(); };
    same(message("gather of ids ", ids), gather(table.value(), ids), rows(ids),
         {{table.value(), "This is the table itself; one row for each id is asked for."},
          {rows(in_order), "These are rows 0, 1, 2, ...: ids are not read."},
          {rows(before), "Off by one row: each is the row before its id's. Rows count from 0."},
          {rows(after), "Off by one row: each is the row after its id's. Rows count from 0."}});
  }
}

}  // namespace course
