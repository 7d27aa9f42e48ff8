// hint 1: Take a = 1; b = a + a; c = b + a. When may a have its turn, if c and b use it?
// hint 2: Only what is younger can use a value. So nothing can still reach the youngest that
//   waits.
// hint 3: while (!waiting.empty()): take *waiting.rbegin() and erase it; store it in finished;
//   add each {input, dx} of rule(id, dy) to waiting[input] with +=.
// why: The youngest that waits has got all of its gradient: each op that uses it is younger
//   still, and has had its turn. So each rule runs once, with the whole sum. Walking into each
//   path by recursion would run a rule once for every path, and there can be 2^n of them.
#if ANSWER == 0
Sums walk(int loss, const Rule& rule) {
  Sums waiting{{loss, 1}}, finished;
  while (!waiting.empty()) {
    const auto [id, dy] = *waiting.rbegin();
    waiting.erase(id);
    finished[id] = dy;
    for (const auto& [input, dx] : rule(id, dy)) waiting[input] += dx;
  }
  return finished;
}
#elif ANSWER == 1  // says: It had its turn before everything that uses it
Sums walk(int loss, const Rule& rule) {
  Sums waiting{{loss, 1}}, finished;
  while (!waiting.empty()) {
    const auto [id, dy] = *waiting.begin();  // the oldest
    waiting.erase(id);
    finished[id] += dy;
    for (const auto& [input, dx] : rule(id, dy)) waiting[input] += dx;
  }
  return finished;
}
#elif ANSWER == 2  // says: The last path has overwritten those before it
Sums walk(int loss, const Rule& rule) {
  Sums waiting{{loss, 1}}, finished;
  while (!waiting.empty()) {
    const auto [id, dy] = *waiting.rbegin();
    waiting.erase(id);
    finished[id] = dy;
    for (const auto& [input, dx] : rule(id, dy)) waiting[input] = dx;
  }
  return finished;
}
#elif ANSWER == 3  // says: ran twice
void visit(int id, double dy, const Rule& rule, Sums& finished) {
  finished[id] += dy;
  for (const auto& [input, dx] : rule(id, dy)) visit(input, dx, rule, finished);
}
Sums walk(int loss, const Rule& rule) {
  Sums finished;
  visit(loss, 1, rule, finished);
  return finished;
}
#elif ANSWER == 4  // says: endless
Sums walk(int loss, const Rule& rule) {
  Sums waiting{{loss, 1}}, finished;
  while (!waiting.empty()) finished[loss] = 1;
  return finished;
}
#elif ANSWER == 5  // says: It was not taken out of waiting
Sums walk(int loss, const Rule& rule) {
  Sums waiting{{loss, 1}}, finished;
  while (!waiting.empty()) {
    const auto [id, dy] = *waiting.rbegin();
    finished[id] = dy;
    for (const auto& [input, dx] : rule(id, dy)) waiting[input] += dx;
  }
  return finished;
}
#endif
