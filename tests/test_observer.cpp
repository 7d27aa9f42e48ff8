// What stands at the two doors sees everything once, in order, and can stop it.
#include <cmath>
#include <limits>
#include <regex>
#include <sstream>

#include "core/core.hpp"
#include "optim/optim.hpp"
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

// Without "; at file:line", which is there only where there is debug information.
std::string without_place(const std::string& error) { return error.substr(0, error.find("; at ")); }

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
        "#0 mul [2, 3] {2, 4, 6, 2, 4, 6} <- #1, #2\n"
        "#3 shift [2, 3] {3, 5, 7, 3, 5, 7} <- #0\n"
        "#4 sum_to [] {30} <- #3\n");
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
    tape.name(table, "table");
    backward(y);
  }
  CHECK(normalised(out.str()) ==
        "dL/d#0 = [] {1}\n"
        "    #1 broadcast_to [3, 2] {1, 1, 1, 1, 1, 1} <- #2\n"
        "  -> #3: [3, 2] {1, 1, 1, 1, 1, 1}\n"
        "dL/d#3 = [3, 2] {1, 1, 1, 1, 1, 1} (#0 sum_to)\n"
        "    #4 scale [3, 2] {2, 2, 2, 2, 2, 2} <- #1\n"
        "  -> #5: [3, 2] {2, 2, 2, 2, 2, 2}\n"
        "dL/d#5 = [3, 2] {2, 2, 2, 2, 2, 2} (#3 scale)\n"
        "  -> table: rows 1, 1, 4 of 5: [3, 2] {2, 2, 2, 2, 2, 2}\n"
        "dL/dtable = rows 1, 1, 4 of 5: [3, 2] {2, 2, 2, 2, 2, 2} (#5 gather_rows)\n");
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
        "dL/d#0 = [1, 1] {1}\n"
        "    #1 matmul [1, 1] {2} <- #2, #3\n"
        "  -> #4: [1, 1] {2}\n"
        "dL/d#4 = [1, 1] {2} (#0 matmul)\n");
}

TEST_CASE("a NaN trap names the op that made the first non-finite value", "[observer]") {
  NanTrap trap;
  const Tensor x = row({1, -2});
  CHECK(without_place(error_of([&] { log(x) * x + x; })) ==
        "nan trap: 'log' made nan at [1] of [2], where the inputs are -2");
  CHECK(without_place(error_of([&] {
          x / row({1, 0});
        })) == "nan trap: 'div' made -inf at [1] of [2], where the inputs are -2 and 0");
  // an input that broadcasts is read where it belongs, and one that does not is named by its shape
  CHECK(without_place(error_of([&] {
          Tensor(full({2, 1}, 5)) / row({1, 0});
        })) == "nan trap: 'div' made inf at [0, 1] of [2, 2], where the inputs are 5 and 0");
  const Real big = std::numeric_limits<Real>::max();
  CHECK(without_place(error_of([&] {
          sum(row({big, big}));
        })) == "nan trap: 'sum_to' made inf at [] of [], where the inputs are [2]");
  // numbers that come in broken are not the op's fault
  CHECK_NOTHROW(row({HUGE_VALF}) * Real(2));
  CHECK_NOTHROW(sum(x * x));
}

TEST_CASE("a NaN trap names the derivative that made the first non-finite gradient", "[observer]") {
  const Tensor x = row({0, 4}), y = sum(sqrt(x));
  NanTrap trap;
  // rules are made of ops, which pass the door as well: sqrt's divides dy by 2 sqrt 0
  CHECK(without_place(error_of([&] { backward(y); })) ==
        "nan trap: 'div' made inf at [0] of [2], where the inputs are 1 and 0");
  CHECK(std::holds_alternative<std::monostate>(x.grad()));
  // a rule that works on raw numbers passes no other door
  const Tensor raw = record("raw", {x}, full({}, 1), [](const Tensor&, const Tensor&) -> Gradients {
    return {row({1, NAN}, false)};
  });
  CHECK(
      without_place(error_of([&] { backward(raw); })) ==
      "nan trap: the rule of 'raw' made nan at [1] of [2] of the gradient of its input 0 [2], from "
      "a finite one");
}

TEST_CASE("a NaN trap looks into sparse gradients", "[observer]") {
  const Tensor table(full({3, 1}, 1), true);
  const Tensor y =
      record("raw", {table}, full({}, 1), [](const Tensor&, const Tensor&) -> Gradients {
        return {RowSparse{full<Indices>({1}, 2), Tensor(full({1, 1}, Real(NAN))), 3}};
      });
  NanTrap trap;
  CHECK(without_place(error_of([&] { backward(y); })) ==
        "nan trap: the rule of 'raw' made nan at [0, 0] of [1, 1] of the gradient of its input 0 "
        "[3, 1], from a finite one");
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

TEST_CASE("a NaN trap tells a sum of gradients that overflows from an op", "[observer]") {
  const Tensor x = row({0}), y = x * Real(2);
  const Real big = std::numeric_limits<Real>::max();
  const Tensor loss = sum(y * big + y * big);
  NanTrap trap;
  CHECK(without_place(normalised(error_of([&] { backward(loss); }))) ==
        "nan trap: the gradients of #0 'scale' add up to inf at [0] of [1], though each is finite");
  CHECK(std::holds_alternative<std::monostate>(x.grad()));
}

TEST_CASE("a NaN trap sees what an optimizer makes of a parameter", "[observer]") {
  const Tensor w = row({1, 2});
  SGD sgd({w}, SgdOptions{std::numeric_limits<Real>::max()});
  backward(sum(w * row({0, 10}, false)));
  NanTrap trap;
  CHECK(without_place(normalised(error_of([&] { sgd.step(); }))) ==
        "nan trap: the optimizer made -inf at [1] of [2] of #0");
}

TEST_CASE("an observer sees each finished gradient before the rule that uses it", "[observer]") {
  struct Order : Observer {
    std::string seen;
    void on_forward(const char* op, const Tensors&, const Tensors&) override {
      seen += std::string(op) + ' ';
    }
    void on_gradient(const Tensor& x, const Gradient& dx) override {
      seen += message("d(", x.node()->op, ")=", dense(dx).item(), ' ');
    }
    void on_backward(const Tensor& y, const Tensors&, const Gradients&) override {
      seen += message("rule(", y.node()->op, ") ");
    }
  };
  const Tensor x = row({3}), y = x * Real(2), loss = y + y;
  Order order;
  backward(loss);
  CHECK(order.seen == "d(add)=1 rule(add) d(scale)=2 scale rule(scale) d(leaf)=4 ");
}
