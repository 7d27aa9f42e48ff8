// What stands at the two doors sees everything once, in order, and can stop it.
#include <cmath>
#include <limits>
#include <regex>
#include <sstream>

#include "core/core.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

Tensor row(const std::vector<Real>& values, bool requires_grad = true) {
  Array a = empty({values.size()});
  std::copy(values.begin(), values.end(), a.data());
  return Tensor(std::move(a), requires_grad);
}

// Ids count on through the whole process: here the first to appear is #0, the next #1, ...
std::string normalised(const std::string& text) {
  std::vector<std::string> seen;
  std::string result;
  const std::regex id("#[0-9]+");
  std::size_t end = 0;
  for (std::sregex_iterator i(text.begin(), text.end(), id), none; i != none; ++i) {
    const auto found = std::find(seen.begin(), seen.end(), i->str());
    result += text.substr(end, static_cast<std::size_t>(i->position()) - end) + '#' +
              std::to_string(found - seen.begin());
    if (found == seen.end()) seen.push_back(i->str());
    end = static_cast<std::size_t>(i->position() + i->length());
  }
  return result + text.substr(end);
}

// Notes "name:op" for each op it is told of.
struct Diary : Observer {
  std::string name;
  std::vector<std::string>& pages;
  Diary(std::string n, std::vector<std::string>& p) : name(std::move(n)), pages(p) {}
  void on_forward(const char* op, const Tensors&, const Tensors&) override {
    pages.push_back(name + ":" + op);
  }
};

}  // namespace

TEST_CASE("a printed tape of a small graph, forward", "[observer]") {
  const Tensor a = row({1, 2, 3}), b(full({2, 3}, 2), true);
  std::ostringstream out;
  {
    PrintedTape tape(out);
    sum(a * b + Real(1));
  }
  a* b;  // nobody is watching any more
  CHECK(normalised(out.str()) ==
        "#0 mul [2, 3] <- #1 [3], #2 [2, 3]\n"
        "#3 shift [2, 3] <- #0 [2, 3]\n"
        "#4 sum_to [] <- #3 [2, 3]\n");
}

TEST_CASE("an observer sees the finished node", "[observer]") {
  struct Looker : Observer {
    std::size_t inputs = 0;
    bool leaf = true;
    void on_forward(const char*, const Tensors&, const Tensors& ys) override {
      inputs = ys[0].node()->inputs.size();
      leaf = ys[0].node()->leaf;
    }
  } looker;
  const Tensor a(full({2}, 1), true);
  a* a;
  CHECK(looker.inputs == 2);
  CHECK(!looker.leaf);
}

TEST_CASE("a printed tape of a backward: each rule's own ops, then what it made", "[observer]") {
  const Tensor table(full({5, 2}, 1), true);
  Indices ids = full<Indices>({3}, 1);
  ids(2) = 4;
  const Tensor y = sum(gather_rows(table, ids) * Real(2));
  std::ostringstream out;
  {
    PrintedTape tape(out);
    backward(y);
  }
  CHECK(normalised(out.str()) ==
        "#0 broadcast_to [3, 2] <- #1 []\n"
        "#2 sum_to backward |dy| 1 -> |d#3| 2.44949\n"
        "#4 scale [3, 2] <- #0 [3, 2]\n"
        "#3 scale backward |dy| 2.44949 -> |d#5| 4.89898\n"
        "#5 gather_rows backward |dy| 4.89898 -> |d#6| 6.32456 (3 rows of 5)\n");
}

TEST_CASE("a printed tape leaves out the inputs that get no gradient", "[observer]") {
  const Tensor x(full({1, 1}, 3), true), weight(full({1, 1}, 2));
  const Tensor y = matmul(weight, x);
  std::ostringstream out;
  {
    PrintedTape tape(out);
    backward(y);
  }
  CHECK(normalised(out.str()) ==
        "#0 matmul [1, 1] <- #1 [1, 1], #2 [1, 1]\n"
        "#3 matmul backward |dy| 1 -> |d#4| 2\n");
}

TEST_CASE("a NaN trap names the op that made the first non-finite value", "[observer]") {
  NanTrap trap;
  const Tensor x = row({1, -2});
  CHECK(error_of([&] { log(x) * x + x; }) ==
        "nan trap: 'log' made a non-finite value [2] from finite inputs [2]");
  CHECK(error_of([&] {
          x / row({1, 0});
        }) == "nan trap: 'div' made a non-finite value [2] from finite inputs [2], [2]");
  // numbers that come in broken are not the op's fault
  CHECK_NOTHROW(row({HUGE_VALF}) * Real(2));
  CHECK_NOTHROW(sum(x * x));
}

TEST_CASE("a NaN trap names the derivative that made the first non-finite gradient", "[observer]") {
  const Tensor x = row({0, 4}), y = sum(sqrt(x));
  NanTrap trap;
  // rules are made of ops, which pass the door as well: sqrt's divides dy by 2 sqrt 0
  CHECK(error_of([&] { backward(y); }) ==
        "nan trap: 'div' made a non-finite value [2] from finite inputs [2], [2]");
  CHECK(std::holds_alternative<std::monostate>(x.grad()));
  // a rule that works on raw numbers passes no other door
  const Tensor raw = record("raw", {x}, full({}, 1), [](const Tensor&, const Tensor&) -> Gradients {
    return {row({1, NAN}, false)};
  });
  CHECK(error_of([&] { backward(raw); }) ==
        "nan trap: the derivative of 'raw' made a non-finite gradient for its input 0 [2] from a "
        "finite one");
}

TEST_CASE("a NaN trap looks into sparse gradients", "[observer]") {
  const Tensor table(full({3, 1}, 1), true);
  const Tensor y =
      record("raw", {table}, full({}, 1), [](const Tensor&, const Tensor&) -> Gradients {
        return {RowSparse{full<Indices>({1}, 2), Tensor(full({1, 1}, Real(NAN))), 3}};
      });
  NanTrap trap;
  CHECK(error_of([&] { backward(y); }) ==
        "nan trap: the derivative of 'raw' made a non-finite gradient for its input 0 [3, 1] from "
        "a finite one");
}

TEST_CASE("observers nest, the newest first, and may leave in any order", "[observer]") {
  std::vector<std::string> pages;
  const Tensor x = row({1});
  CHECK(Observer::first() == nullptr);
  auto a = std::make_unique<Diary>("a", pages), b = std::make_unique<Diary>("b", pages),
       c = std::make_unique<Diary>("c", pages);
  exp(x);
  CHECK(pages == std::vector<std::string>{"c:exp", "b:exp", "a:exp"});
  pages.clear();
  b.reset();
  -x;
  CHECK(pages == std::vector<std::string>{"c:neg", "a:neg"});
  pages.clear();
  c.reset();
  tanh(x);
  CHECK(pages == std::vector<std::string>{"a:tanh"});
  a.reset();
  CHECK(Observer::first() == nullptr);
  exp(x);
  CHECK(pages.size() == 1);
}

TEST_CASE("an observer is told of ops that keep no graph", "[observer]") {
  std::vector<std::string> pages;
  Diary diary("d", pages);
  NoGrad guard;
  exp(row({1}));
  CHECK(pages == std::vector<std::string>{"d:exp"});
}

TEST_CASE("a NaN trap blames no op for gradients that overflow when they are added", "[observer]") {
  const Tensor x = row({0}), y = x * Real(2);
  const Real big = std::numeric_limits<Real>::max();
  const Tensor loss = sum(y * big + y * big);
  NanTrap trap;
  CHECK_NOTHROW(backward(loss));  // of y's two shares each is finite, and its rule comes after
  CHECK(std::isinf(dense(x.grad()).item()));
}
