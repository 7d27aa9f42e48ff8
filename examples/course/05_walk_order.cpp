// Chapter 2, the engine.
//
// Values have numbers, and an input is always older than what uses it: its
// number is smaller. rule(id, dy) returns what value id hands to each of its
// inputs, as {input, gradient}; nothing if it is a leaf.
//   waiting[id]   the sum of what has reached value id so far; at first {loss: 1}
// Take a value out of waiting, run its rule once with the finished sum, add what
// it returns to waiting, and so on until nothing waits. Which one comes first?
// A std::map is sorted: *m.begin() has the smallest number, *m.rbegin() the
// largest, both as {id, sum}; m.erase(id) takes one out.
// In the code base: walk() in core/autograd.cpp.
#include <functional>
#include <map>

#include "examples/course/todo.hpp"

using Sums = std::map<int, double>;
using Rule = std::function<Sums(int id, double dy)>;

// ---- your part ----
Sums walk(int loss, const Rule& rule) {
  Sums waiting{{loss, 1}}, finished;  // finished[id] = dloss/did
  todo("walk must return the finished gradient of each value that the loss depends on");
}
// ---- end of your part ----
