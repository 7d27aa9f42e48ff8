// hint 1: One loop. What has to be true of an id that stays?
// hint 2: An id and its row stay or go together: append to both lists, or to none.
// hint 3: if (g.ids[i] != padding_idx) { kept.ids.push_back(g.ids[i]); and the same with rows }.
// why: What is not listed has no gradient at all. It costs nothing, and no optimizer moves it.
//   With a row of zeros, momentum and Adam would count a step for the padding row.
#if ANSWER == 0
Rows without_padding(const Rows& g, std::int64_t padding_idx) {
  Rows kept;
  for (std::size_t i = 0; i < g.ids.size(); ++i) {
    if (g.ids[i] == padding_idx) continue;
    kept.ids.push_back(g.ids[i]);
    kept.rows.push_back(g.rows[i]);
  }
  return kept;
}
#elif ANSWER == 1  // says: Padding has rows of zeros
Rows without_padding(const Rows& g, std::int64_t padding_idx) {
  Rows kept = g;
  for (std::size_t i = 0; i < g.ids.size(); ++i) {
    if (g.ids[i] == padding_idx) kept.rows[i].assign(kept.rows[i].size(), 0);
  }
  return kept;
}
#elif ANSWER == 2  // says: ids are left out, but their rows are still there
Rows without_padding(const Rows& g, std::int64_t padding_idx) {
  Rows kept{{}, g.rows};
  for (std::int64_t id : g.ids) {
    if (id != padding_idx) kept.ids.push_back(id);
  }
  return kept;
}
#elif ANSWER == 3  // says: The other way round
Rows without_padding(const Rows& g, std::int64_t padding_idx) {
  Rows kept;
  for (std::size_t i = 0; i < g.ids.size(); ++i) {
    if (g.ids[i] == padding_idx) kept.ids.push_back(g.ids[i]), kept.rows.push_back(g.rows[i]);
  }
  return kept;
}
#elif ANSWER == 4  // says: Padding is still listed
Rows without_padding(const Rows& g, std::int64_t) { return g; }
#endif
