// hint 1: It is exercise 08 with both sides exchanged: read dy in order, write where ids say.
// hint 2: What if ids are {4, 0, 4}? Row 4 gets two rows of dy.
// hint 3: dtable(ids(i), d) += dy(i, d), in two loops, beginning with full({V, dy.shape(1)}, 0).
// why: A row that is used twice gets the sum of two gradients, like any value. With = instead of
//   += training still seems to work, but frequent words learn from their last place only.
#if ANSWER == 0
Array gather_rule(const Indices& ids, const Array& dy, std::size_t V) {
  Array dtable = full({V, dy.shape(1)}, 0);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) dtable(ids(i), d) += dy(i, d);
  }
  return dtable;
}
#elif ANSWER == 1  // says: Rows are overwritten
Array gather_rule(const Indices& ids, const Array& dy, std::size_t V) {
  Array dtable = full({V, dy.shape(1)}, 0);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) dtable(ids(i), d) = dy(i, d);
  }
  return dtable;
}
#elif ANSWER == 2  // says: The mean over a repeated id
Array gather_rule(const Indices& ids, const Array& dy, std::size_t V) {
  Array dtable = full({V, dy.shape(1)}, 0);
  std::vector<Real> count(V, 0);
  for (auto id : ids) ++count[id];
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) dtable(ids(i), d) += dy(i, d) / count[ids(i)];
  }
  return dtable;
}
#elif ANSWER == 3  // says: Off by one row
Array gather_rule(const Indices& ids, const Array& dy, std::size_t V) {
  Array dtable = full({V, dy.shape(1)}, 0);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) dtable(ids(i) + 1, d) += dy(i, d);
  }
  return dtable;
}
#elif ANSWER == 4  // says: numbers are NaN
Array gather_rule(const Indices& ids, const Array& dy, std::size_t V) {
  Array dtable = empty({V, dy.shape(1)});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) dtable(ids(i), d) += dy(i, d);
  }
  return dtable;
}
#endif
