// hint 1: Go through the ids. Have you met this one before? A std::map<std::int64_t,
//   std::size_t> can say where it is in `once`.
// hint 2: place.emplace(id, once.ids.size()) returns {iterator, is_new}. If it is new, append
//   the id and its row; otherwise add the row to once.rows[iterator->second].
// hint 3: auto [at, is_new] = place.emplace(g.ids[i], once.ids.size()); if (is_new) push_back
//   both; else for each d: once.rows[at->second][d] += g.rows[i][d].
// why: Adding up is all that a plain sum needs, and it could wait. But Adam squares a gradient,
//   and (r0 + r2)^2 is not r0^2 + r2^2: before anything that is not linear, each row must be
//   whole. The cost is that of the rows listed. A table of a million rows is never touched.
#if ANSWER == 0
Rows coalesce(const Rows& g) {
  Rows once;
  std::map<std::int64_t, std::size_t> place;
  for (std::size_t i = 0; i < g.ids.size(); ++i) {
    const auto [at, is_new] = place.emplace(g.ids[i], once.ids.size());
    if (is_new) {
      once.ids.push_back(g.ids[i]);
      once.rows.push_back(g.rows[i]);
    } else {
      for (std::size_t d = 0; d < g.rows[i].size(); ++d) once.rows[at->second][d] += g.rows[i][d];
    }
  }
  return once;
}
#elif ANSWER == 1  // says: Rows are overwritten
Rows coalesce(const Rows& g) {
  Rows once;
  std::map<std::int64_t, std::size_t> place;
  for (std::size_t i = 0; i < g.ids.size(); ++i) {
    const auto [at, is_new] = place.emplace(g.ids[i], once.ids.size());
    if (is_new) {
      once.ids.push_back(g.ids[i]);
      once.rows.push_back(g.rows[i]);
    } else {
      once.rows[at->second] = g.rows[i];
    }
  }
  return once;
}
#elif ANSWER == 2  // says: They are sorted
Rows coalesce(const Rows& g) {
  Rows once;
  std::map<std::int64_t, std::vector<Real> > sums;
  for (std::size_t i = 0; i < g.ids.size(); ++i) {
    auto& sum = sums[g.ids[i]];
    sum.resize(g.rows[i].size());
    for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += g.rows[i][d];
  }
  for (const auto& [id, sum] : sums) once.ids.push_back(id), once.rows.push_back(sum);
  return once;
}
#elif ANSWER == 3  // says: each id must be listed once
Rows coalesce(const Rows& g) { return g; }
#endif
