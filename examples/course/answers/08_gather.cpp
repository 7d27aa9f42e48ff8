// hint 1: Two loops: over the places i of ids, and over the columns d.
// hint 2: The table has V rows, y has n: ids.size() of them. D is table.shape(1).
// hint 3: y(i, d) = table(ids(i), d).
// why: A lookup multiplies nothing. It is the product of a one-hot matrix [n, V] with the table,
//   of which only the rows that count are computed: n * D numbers instead of n * V * D products.
#if ANSWER == 0
Array gather(const Array& table, const Indices& ids) {
  Array y = empty({ids.size(), table.shape(1)});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 0; d < table.shape(1); ++d) y(i, d) = table(ids(i), d);
  }
  return y;
}
#elif ANSWER == 1  // says: ids are not read
Array gather(const Array& table, const Indices& ids) {
  Array y = empty({ids.size(), table.shape(1)});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 0; d < table.shape(1); ++d) y(i, d) = table(i % 6, d);
  }
  return y;
}
#elif ANSWER == 2  // says: Off by one row: each is the row before
Array gather(const Array& table, const Indices& ids) {
  Array y = empty({ids.size(), table.shape(1)});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 0; d < table.shape(1); ++d) y(i, d) = table((ids(i) + 5) % 6, d);
  }
  return y;
}
#elif ANSWER == 3  // says: numbers are NaN. empty() leaves them unwritten
Array gather(const Array& table, const Indices& ids) {
  Array y = empty({ids.size(), table.shape(1)});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 1; d < table.shape(1); ++d) y(i, d) = table(ids(i), d);
  }
  return y;
}
#elif ANSWER == 4  // says: This is the table itself
Array gather(const Array& table, const Indices&) { return table; }
#endif
