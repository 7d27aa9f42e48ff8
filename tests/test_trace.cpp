// What a Trace records of a step, as JSON, text and pictures; explain() and Profile.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace gradwalk;
using json = nlohmann::json;

namespace {

Tensor row(const std::vector<Real>& values) { return Tensor(values, true); }

json saved(const Trace& trace) {
  const tests::Folder folder;
  trace.save(folder / "trace.json");
  std::ifstream in(folder / "trace.json");
  return json::parse(in);
}

template <class T>
std::string printed(const T& t) {
  std::ostringstream out;
  out << t;
  return out.str();
}

// A gradient of the JSON as dense numbers of this shape.
std::vector<double> dense_of(const json& g, const Shape& shape) {
  std::vector<double> all(size_of(shape), 0);
  if (g["kind"] == "none") return all;
  const std::vector<double> values = g["numbers"]["values"];
  if (g["kind"] == "dense") return values;
  REQUIRE(g["kind"] == "rows");
  const std::vector<std::size_t> rows = g["rows"];
  const std::size_t width = values.size() / rows.size();
  for (std::size_t i = 0; i < values.size(); ++i)
    all[rows[i / width] * width + i % width] += values[i];
  return all;
}

struct Model {
  Generator generator{1};
  Embedding embedding{10, 2, generator};
  LSTM lstm;
  Linear head{2, 2, generator};
  explicit Model(bool fused) : lstm(2, 2, generator, options(fused)) {}
  static LstmOptions options(bool fused) {
    LstmOptions o;
    o.fused = fused;
    return o;
  }
  Tensor loss() {
    const Indices ids{{3, 7}, {7, 3}}, targets{0, 1};
    return softmax_cross_entropy(head(lstm(embedding(ids)).last), targets);
  }
};

}  // namespace

TEST_CASE("a trace holds a step: parts add up to each gradient, and every id is known", "[trace]") {
  Model model(GENERATE(true, false));
  Adam adam(parameters({&model.embedding, &model.lstm, &model.head}), AdamOptions{1e-2});
  Trace trace;
  trace.name(model.embedding, "embedding");
  trace.name(model.lstm, "lstm");
  backward(model.loss());
  std::map<std::uint64_t, Tensor> leaves;
  for (const Tensor& p : parameters({&model.embedding, &model.lstm, &model.head}))
    leaves[p.node()->id] = p;
  std::map<std::uint64_t, std::vector<double>> grads;
  for (const auto& [id, p] : leaves) {
    const Array g = dense(p.grad()).value();
    grads[id] = std::vector<double>(g.begin(), g.end());
  }
  adam.step();

  const json all = saved(trace);
  CHECK(all["stopped"] == "");
  std::set<std::uint64_t> known, updated;
  std::set<std::string> names;
  for (const json& n : all["nodes"]) {
    for (const json& x : n["inputs"]) CHECK(known.count(x) == 1);
    known.insert(n["id"].get<std::uint64_t>());
    if (n.contains("name")) names.insert(n["name"].get<std::string>());
  }
  CHECK(names.count("embedding.weight") == 1);
  CHECK(names.count("lstm.weight_hh_l0") == 1);
  std::size_t forward = 0, checked = 0;
  for (const json& step : all["steps"]) {
    REQUIRE(known.count(step["node"]) == 1);
    const std::uint64_t id = step["node"];
    if (step["kind"] == "forward") ++forward;
    if (step["kind"] == "update") {
      updated.insert(id);
      CHECK(step["policy"] == (id == model.embedding.weight().node()->id ? "lazy" : "dense"));
      CHECK_THAT(step["largest"].get<double>(), WithinAbs(1e-2, 1e-4));  // Adam's first step
    }
    if (step["kind"] != "backward" || leaves.count(id) == 0) continue;
    const Shape shape = leaves[id].shape();
    std::vector<double> sum(size_of(shape), 0);
    for (const json& part : step["parts"]) {
      CHECK(known.count(part["from"]) == 1);
      const std::vector<double> numbers = dense_of(part["gradient"], shape);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += numbers[i];
    }
    const std::vector<double> dy = dense_of(step["dy"], shape);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      CHECK_THAT(sum[i], WithinAbs(grads[id][i], 1e-6));
      CHECK_THAT(dy[i], WithinAbs(grads[id][i], 1e-6));
      ++checked;
    }
  }
  CHECK(forward > 5);
  CHECK(checked == 20 + 2 * (16 + 8) + 4 + 2);
  CHECK(updated.size() == leaves.size());
}

TEST_CASE("a rule's own ops are told from the program's, and what waits is listed", "[trace]") {
  const Tensor a = row({2}), b = row({3});
  Trace trace;
  trace.name(a, "a");
  trace.name(b, "b");
  const Tensor y = a * b, loss = y + a;
  backward(loss);
  const json all = saved(trace);
  REQUIRE(all["steps"].size() == 6);  // two ops forward; the turns of add, mul, b, a
  const json &add = all["steps"][2], &mul = all["steps"][3];
  CHECK(all["nodes"].size() == 4);
  CHECK(add["inner"].empty());
  CHECK(add["waiting"] == json({y.node()->id, a.node()->id}));
  CHECK(mul["inner"].size() == 2);
  CHECK(mul["inner"][0]["op"] == "mul");
  CHECK(mul["waiting"] == json({b.node()->id, a.node()->id}));
  CHECK(printed(trace) ==
        message("#", y.node()->id, " mul [1] {6} <- a, b\n#", loss.node()->id, " add [1] {8} <- #",
                y.node()->id, ", a\ndL/d#", loss.node()->id, " = [1] {1}\n  -> #", y.node()->id,
                ": [1] {1}\n  -> a: [1] {1}\n", "dL/d#", y.node()->id, " = [1] {1} (#",
                loss.node()->id, " add)\n    #", mul["inner"][0]["id"], " mul [1] {3} <- #",
                mul["inner"][0]["inputs"][0], ", b\n    #", mul["inner"][1]["id"],
                " mul [1] {2} <- #", mul["inner"][1]["inputs"][0],
                ", a\n  -> a: [1] {3}\n  -> b: [1] {2}\ndL/db = [1] {2} (#", y.node()->id,
                " mul)\ndL/da = [1] {1} (#", loss.node()->id, " add) + [1] {3} (#", y.node()->id,
                " mul) = [1] {4}\n"));
}

TEST_CASE("a rule that calls backward itself is one step, and a tape that was stopped is quiet",
          "[trace]") {
  const Tensor x = row({3});
  const auto again = [&x](const Tensor&, const Tensor& dy) -> Gradients {  // as checkpointing does
    const NoGrad record(false);
    const Tensor inside = Tensor(x.value(), true), y = inside * inside;
    backward(y);
    return {dense(inside.grad()) * dy};
  };
  const Tensor y = record("again", {x}, full({1}, 9), again);
  Trace trace;
  std::ostringstream out;
  {
    PrintedTape tape(out);
    backward(y);
    tape.stop("enough");
    CHECK_NOTHROW(x * x);
  }
  const json all = saved(trace);
  REQUIRE(all["steps"].size() == 3);  // again, x, and the product afterwards
  CHECK(all["steps"][0]["inner"].size() == 4);
  CHECK(dense_of(all["steps"][1]["dy"], {1})[0] == 6);
  CHECK_THAT(out.str(), ContainsText("[1] {6}"));
}

TEST_CASE("a walk that ended early leaves nothing waiting for the next one", "[trace]") {
  const Tensor a = row({2}), b = row({3}), c = row({4});
  Trace trace;
  const Tensor y = a * b;
  gradients(y * c, {y});  // c and y are younger than a and b: nothing arrives there
  backward(exp(a));
  const json all = saved(trace);
  const json& leaf = all["steps"].back();
  CHECK(leaf["node"] == a.node()->id);
  CHECK(leaf["parts"].size() == 1);
  CHECK(leaf["waiting"].empty());
}

TEST_CASE("a trace shortens what is large, and writes what is not finite", "[trace]") {
  Trace trace;
  const Tensor full_size(full({64}, 1), true), large(full({65}, 2), true);
  -full_size;
  -large;
  log(row({-1, 0}));
  Array broken = full({70}, 1);
  broken(2) = NAN;
  -Tensor(broken);
  const json nodes = saved(trace)["nodes"];
  REQUIRE(nodes.size() == 8);
  CHECK(nodes[7]["value"]["bad"] == 1);
  CHECK(nodes[0]["value"]["values"].size() == 64);
  const json& v = nodes[2]["value"];
  CHECK(!v.contains("values"));
  CHECK(v["shape"] == json({65}));
  CHECK(v["min"] == 2);
  CHECK(v["max"] == 2);
  CHECK(v["mean"] == 2);
  CHECK_THAT(v["norm"].get<double>(), WithinAbs(std::sqrt(65 * 4.0), 1e-6));
  CHECK(v["bad"] == 0);
  CHECK(v["first"] == json({2, 2, 2}));
  CHECK(nodes[5]["value"]["values"] == json({"nan", "-inf"}));
}

TEST_CASE("a trace says when it reached its limit, and where a rule did not come back", "[trace]") {
  const Tensor x = row({1});
  {
    Trace trace(3);
    exp(exp(exp(exp(x))));
    const json all = saved(trace);
    CHECK(all["steps"].size() == 3);
    CHECK(all["stopped"] == "the limit of 3 steps is reached");
    CHECK(all["stopped"] == trace.stopped());
  }
  const Tensor y =
      record("broken", {x}, full({1}, 1),
             [](const Tensor&, const Tensor&) -> Gradients { throw std::runtime_error("no"); });
  Trace trace;
  CHECK(error_of([&] { backward(y); }) == "no");
  const Tensor later = exp(x);  // is the program's, not the broken rule's
  CHECK(saved(trace)["steps"].back()["node"] == later.node()->id);
  const std::string why = message("the rule of #", y.node()->id, " did not come back");
  CHECK(saved(trace)["stopped"] == why);
  CHECK_THAT(printed(trace), ContainsText("\nstopped: " + why + "\n"));
  trace.stop("no");
  CHECK(saved(trace)["stopped"] == "no");
}

TEST_CASE("what an optimizer did to a table under each policy", "[trace]") {
  const SparsePolicy policy =
      GENERATE(SparsePolicy::kLazy, SparsePolicy::kExact, SparsePolicy::kDensify);
  Tensor table(full({4, 2}, 1), true);
  SgdOptions options{0.5};
  options.momentum = 0.9;
  options.policy = policy;
  SGD sgd({table}, options);
  backward(sum(gather_rows(table, {1, 3})));
  sgd.step();
  sgd.zero_grad();
  backward(sum(gather_rows(table, {3, 3})));
  Trace trace;
  sgd.step();
  const json step = saved(trace)["steps"][0];
  CHECK(step["kind"] == "update");
  CHECK(step["rows"] == 1);
  const bool densify = policy == SparsePolicy::kDensify;
  CHECK(step["policy"] == (policy == SparsePolicy::kLazy ? "lazy" : densify ? "densify" : "exact"));
  CHECK(step["moved"] == (densify ? 2 : 1));  // row 1 by its momentum
  CHECK_THAT(step["largest"].get<double>(), WithinAbs(0.5 * (0.9 + 2), 1e-6));
  CHECK(step["before"]["shape"] == (densify ? json({4, 2}) : json({1, 2})));
}

TEST_CASE("parameters that are made while a trace watches have names, each its own", "[trace]") {
  Generator generator(1);
  Trace trace;
  const Linear first(1, 1, generator), second(1, 1, generator);
  second(first(row({1})));
  std::set<std::string> names;
  const json all = saved(trace);
  for (const json& n : all["nodes"]) {
    if (n.contains("name") && n["op"] == "leaf") names.insert(n["name"].get<std::string>());
  }
  CHECK(names.size() == 4);
}

TEST_CASE("a page holds the trace, and a failed save leaves what was there", "[trace]") {
  const tests::Folder folder;
  Trace trace;
  const Tensor x = row({1});
  trace.name(x, "</script>");
  exp(x);
  trace.save_page(folder / "page.html");
  std::ifstream in(folder / "page.html");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  CHECK(page.find("gradwalk_trace\":1") != std::string::npos);
  CHECK(page.find("/*TRACE*/null") == std::string::npos);
  CHECK(page.find("\"\\u003c/script>\"") != std::string::npos);
  CHECK(error_of<FileError>([&] { trace.save(folder / "no" + "/trace.json"); }) !=
        "nothing was thrown");
  CHECK(folder.files() == 1);
}

TEST_CASE("a graph drawn for Graphviz", "[trace]") {
  Tensor a = row({2});
  const Tensor y = a * a;
  const std::string before = draw(y);
  CHECK(before.find("label=\"mul\\n[1] {4}\"") != std::string::npos);
  CHECK(before.find(message(a.node()->id, " -> ", y.node()->id)) != std::string::npos);
  CHECK(before.find("grad") == std::string::npos);
  backward(y, true);
  CHECK(draw(y).find("leaf\\n[1] {2}\\ngrad [1] {4}") != std::string::npos);
  Trace trace;
  trace.name(a, "a \"b\"");
  backward(exp(a));
  CHECK(trace.draw().find("a \\\"b\\\" leaf") != std::string::npos);
}

TEST_CASE("explain follows a number up to the loss, and names the lookups of a row", "[explain]") {
  const Tensor w(Array{{1, 2}, {3, 4}}, true), x(Array{{1, 0}, {5, 7}});
  const Explanation told = explain([&] { return sum(tanh(matmul(x, w) * Real(0.01))); }, w, {1, 0});
  REQUIRE(told.steps.size() == 4);
  const ExplainedNumber& first = told.steps[0];
  CHECK(first.index == Shape{1, 0});
  REQUIRE(first.parts.size() == 1);  // of four elements of dy, only [1, 0] meets x[1, 1]
  CHECK(first.parts[0].begin == 2);
  CHECK_THAT(*told.difference, WithinAbs(first.gradient, sizeof(Real) == 4 ? 1e-3 : 1e-8));
  CHECK(told.steps[3].x.node()->op == std::string("tanh"));
  CHECK(error_of<std::out_of_range>([&] {
          explain(sum(w * w), w, {2, 0});
        }) == "explain: [2, 0] is outside [2, 2]");

  const Tensor table(full({5, 1}, 1), true);
  const Indices ids{{3, 1}, {0, 3}};
  const Explanation rows = explain(sum(gather_rows(table, ids)), table, {3, 0});
  CHECK(rows.steps[0].gradient == 2);
  CHECK(rows.steps[0].lookups == std::vector<Shape>{{0, 0}, {1, 1}});
  CHECK(printed(rows).find("row 3 was looked up at [0, 0], [1, 1]\n") != std::string::npos);
}

TEST_CASE("explain asks rows of a large dy at once, then the elements of the largest",
          "[explain]") {
  Array numbers = full({40, 20}, 1);
  numbers(7, 3) = 100;
  const Tensor c(numbers), x(full({}, 2), true);
  const Explanation told = explain(sum(x * c), x, {});
  CHECK(told.steps[0].parts.size() == 40);
  CHECK(told.steps[0].gradient == 899);
  CHECK(told.steps[0].parts[0].begin == 7 * 20);
  REQUIRE(told.steps.size() == 2);
  CHECK(told.steps[1].index == Shape{7, 3});
}

TEST_CASE("explain splits a long dy, however its axes are", "[explain]") {
  const Shape shape =
      GENERATE(Shape{1, 300, 50}, Shape{15000}, Shape{15000, 1}, Shape{3, 5000}, Shape{70, 2, 107});
  Array numbers = full(shape, 1);
  numbers.data()[7011] = 100;
  const Tensor c(numbers), x(full({}, 2), true);
  ExplainOptions options;
  options.most = 64;
  const Explanation told = explain(sum(x * c), x, {}, options);
  CHECK(told.steps[0].parts.size() <= 2 * options.most);
  CHECK(told.steps[0].gradient == double(numbers.size() + 99));
  REQUIRE(told.steps.size() == 2);
  std::size_t at = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    at = at * shape[axis] + told.steps[1].index[axis];
  CHECK(at == 7011);
}

TEST_CASE("explain changes nothing, and says what it cannot know", "[explain]") {
  const Tensor x(Array{1, 2}, true);
  const auto f = [&] { return sum(x * x); };
  const Tensor loss = f();
  explain(f, x, {0});
  CHECK_NOTHROW(backward(loss));
  CHECK(explain(sum(x), x, {1}).steps[0].gradient == 1);
  const Tensor scalar(full({}, 3), true);
  CHECK(explain(scalar, scalar, {}).steps[0].gradient == 1);  // the loss itself
  Generator generator(1);
  CHECK(!explain([&] { return sum(dropout(x, 0.5, generator)); }, x, {0}).difference);
  const Tensor large(full({}, 30000), true);
  CHECK_THAT(*explain([&] { return large * Real(3); }, large, {}).difference, WithinAbs(3, 1e-2));
  ExplainOptions none;
  none.most = 0;
  CHECK(explain(sum(slice(x * x, 0, 1, 2)), x, {1}, none).steps[0].gradient == 4);
}

TEST_CASE("explain says so if a rule is not linear in dy", "[explain]") {
  const Tensor x(Array{1, 2}, true);
  const auto y = [&x](bool linear) {
    return record("scaled", {x}, Array(x.value()),
                  [linear](const Tensor&, const Tensor& dy) -> Gradients {
                    return {linear ? dy : dy / sum(dy)};
                  });
  };
  CHECK(printed(explain(sum(y(true)), x, {0})).find("linear") == std::string::npos);
  CHECK_THAT(printed(explain(sum(y(false)), x, {0})),
             ContainsText("\nthe gradient is 0.5: a rule is not linear in its dy\n"));
}

// Ops picked at random, each on what is there already, so that tensors are used more than once.
TEST_CASE("explain on random graphs: contributions add up, finite differences agree", "[explain]") {
  Generator generator(11);
  for (int graph = 0; graph < 200; ++graph) {
    INFO("graph " << graph);
    const Tensor a(uniform({2, 3}, 0.5, 1.5, generator), true),
        b(uniform({3}, 0.5, 1.5, generator), true), t(uniform({4, 3}, 0.5, 1.5, generator), true);
    std::vector<std::size_t> choices(24);
    for (std::size_t& c : choices) c = generator.below(1000);
    const auto loss = [&] {
      Tensors all{a, a * b, gather_rows(t, {1, 3})};
      for (std::size_t k = 0; k + 2 < choices.size(); k += 3) {
        const Tensor &u = all[choices[k] % all.size()], &v = all[choices[k + 1] % all.size()];
        switch (choices[k + 2] % 10) {
          case 0:
            all.push_back(u + v);
            break;
          case 1:
            all.push_back(u * v * Real(0.5));
            break;
          case 2:
            all.push_back(tanh(u));
            break;
          case 3:
            all.push_back(sigmoid(u) - v);
            break;
          case 4:
            all.push_back(u / (Real(1) + v * v));
            break;
          case 5:
            all.push_back(softmax(u, 1) + b);
            break;
          case 6:
            all.push_back(concat({slice(u, 1, 1, 3), slice(v, 1, 0, 1)}, 1));
            break;
          case 7:
            all.push_back(matmul(u, matmul(v, u, true)));
            break;
          case 8:
            all.push_back(u + gather_rows(t, {3, 3}));
            break;
          default:
            all.push_back(log(Real(1) + exp(u * Real(0.1))));
            break;
        }
        all.back() = tanh(all.back());
      }
      return mean(all.back() * all[choices[0] % all.size()]);
    };
    for (const Tensor& x : {a, b, t}) {
      const Tensor l = loss();
      if (!l.requires_grad()) continue;
      const Gradient g = gradients(l, {x})[0];
      if (g.index() == 0) continue;
      const Array d = dense(g).value();
      const std::size_t at = generator.below(x.size());
      const Shape index = x.dim() == 1 ? Shape{at} : Shape{at / 3, at % 3};
      const Explanation told = explain(loss, x, index);
      const double want = static_cast<double>(d.data()[at]);
      CHECK_THAT(told.steps[0].gradient,
                 WithinAbs(want, (sizeof(Real) == 4 ? 1e-5 : 1e-12) * (1 + std::abs(want))));
      if (sizeof(Real) == 8) CHECK_THAT(*told.difference, WithinAbs(want, 1e-7));
    }
  }
}

TEST_CASE("a profile counts calls, bytes and what is kept for the way back", "[profile]") {
  Profile profile;
  const Tensor x(full({100}, 1), true);
  for (int k = 0; k < 2; ++k) backward(sum(exp(x) * x));
  const Profile::Op &e = profile.ops().at("exp"), &mul = profile.ops().at("mul");
  CHECK(e.calls == 2);
  CHECK(e.values == 2 * 100 * sizeof(Real));
  CHECK(e.gradients == 2 * 100 * sizeof(Real));
  CHECK(e.kept == 100 * sizeof(Real));
  CHECK(mul.calls == 2);  // those within rules count for the rules
  CHECK(mul.gradients == 2 * 2 * 100 * sizeof(Real));
  CHECK(profile.peak() == (2 * 100 + 1) * sizeof(Real));
  CHECK(e.forward > 0);
  CHECK(e.backward > 0);
  CHECK(printed(profile).find("\nexp ") != std::string::npos);
  const tests::Folder folder;
  profile.save(folder / "profile.json");
  std::ifstream in(folder / "profile.json");
  const json events = json::parse(in)["traceEvents"];
  CHECK(events.size() == 2 * (3 + 3));  // three ops each way, twice
  CHECK(events[0]["ph"] == "X");
}
