// hint 1: Begin with zeros in the shape that is wanted, and go through all of dy.
// hint 2: dy(n, d) goes to one place of dx. Which row is it if dx has only one row?
// hint 3: sum(rows == 1 ? 0 : n, columns == 1 ? 0 : d) += dy(n, d), in two loops.
// why: A number that was repeated N times is used N times, and each use hands a gradient back.
//   Their sum is the rule of every op that broadcasts. An engine that forgot it would see a
//   gradient [N, D] for a bias [D]; ours refuses that.
#if ANSWER == 0
Array undo_broadcasting(const Array& dy, std::size_t rows, std::size_t columns) {
  Array sum = full({rows, columns}, 0);
  for (std::size_t n = 0; n < dy.shape(0); ++n) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) {
      sum(rows == 1 ? 0 : n, columns == 1 ? 0 : d) += dy(n, d);
    }
  }
  return sum;
}
#elif ANSWER == 1  // says: This is dy itself: the sum is missing
Array undo_broadcasting(const Array& dy, std::size_t, std::size_t) { return dy; }
#elif ANSWER == 2  // says: Only the last one is left
Array undo_broadcasting(const Array& dy, std::size_t rows, std::size_t columns) {
  Array sum = full({rows, columns}, 0);
  for (std::size_t n = 0; n < dy.shape(0); ++n) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) {
      sum(rows == 1 ? 0 : n, columns == 1 ? 0 : d) = dy(n, d);
    }
  }
  return sum;
}
#elif ANSWER == 3  // says: The mean instead of the sum
Array undo_broadcasting(const Array& dy, std::size_t rows, std::size_t columns) {
  Array sum = full({rows, columns}, 0);
  const Real count = static_cast<Real>(dy.size() / sum.size());
  for (std::size_t n = 0; n < dy.shape(0); ++n) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) {
      sum(rows == 1 ? 0 : n, columns == 1 ? 0 : d) += dy(n, d) / count;
    }
  }
  return sum;
}
#elif ANSWER == 4  // says: 11 of 12 numbers are right
Array undo_broadcasting(const Array& dy, std::size_t rows, std::size_t columns) {
  Array sum = full({rows, columns}, 0);
  for (std::size_t n = 0; n < dy.shape(0); ++n) {
    for (std::size_t d = 0; d < dy.shape(1); ++d) {
      sum(rows == 1 ? 0 : n, columns == 1 ? 0 : d) += dy(n, d);
    }
  }
  if (rows > 1 && columns > 1) sum(2, 3) = 0;
  return sum;
}
#endif
