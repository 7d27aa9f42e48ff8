#include "core/trace.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <ostream>
#include <regex>

#include "core/callers.hpp"
#include "core/error.hpp"
#include "core/file.hpp"
#include "core/gradient.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {

using json = nlohmann::ordered_json;
using Id = std::uint64_t;

extern const char* const kSeePage;  // core/see/page.html

// ---- numbers and gradients, as JSON and as text ----

static constexpr std::size_t kInFull = 64, kEnds = 3, kRows = 256, kShown = 8;

template <class Number>
static json number(Number x) {
  if (std::isfinite(x)) return x;
  return std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

static json ids_of(const Tensors& ts) {
  json ids = json::array();
  for (const Tensor& t : ts) ids.push_back(t.node()->id);
  return ids;
}

// The value as it lies there: nothing is brought up to date, nothing refused.
static json numbers(const Tensor& t) {
  if (!t.defined()) return {};
  const Array& a = t.node()->value;
  const std::size_t n = a.size();
  const auto list = [&a](std::size_t from, std::size_t to) {
    json values = json::array();
    for (; from < to; ++from) values.push_back(number(a.data()[from]));
    return values;
  };
  if (n <= kInFull) return {{"shape", a.shape()}, {"values", list(0, n)}};
  double least = HUGE_VAL, most = -HUGE_VAL, sum = 0, squares = 0;
  std::size_t bad = 0;
  for (const Real v : a) {
    const double x = static_cast<double>(v);
    least = std::min(least, x), most = std::max(most, x);
    sum += x, squares += x * x, bad += !std::isfinite(x);
  }
  return {{"shape", a.shape()},
          {"min", number(least)},
          {"max", number(most)},
          {"mean", number(sum / static_cast<double>(n))},
          {"norm", number(std::sqrt(squares))},
          {"bad", bad},
          {"first", list(0, kEnds)},
          {"last", list(n - kEnds, n)}};
}

static json described(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g); t != nullptr && t->defined())
    return {{"kind", "dense"}, {"numbers", numbers(*t)}};
  if (auto* s = std::get_if<RowSparse>(&g)) {
    const std::int64_t* rows = s->rows.data();
    return {{"kind", "rows"},
            {"rows", std::vector<std::int64_t>(rows, rows + std::min(kRows, s->rows.size()))},
            {"rows_shape", s->rows.shape()},
            {"num_rows", s->num_rows},
            {"coalesced", s->coalesced},
            {"numbers", numbers(s->values)}};
  }
  if (auto* s = std::get_if<Slice>(&g))
    return {{"kind", "slice"},
            {"shape", s->shape},
            {"axis", s->axis},
            {"begin", s->begin},
            {"numbers", numbers(s->dy)}};
  auto* all = std::get_if<Tensors>(&g);
  if (all == nullptr) return {{"kind", "none"}};
  json outputs = json::array();
  for (const Tensor& t : *all) outputs.push_back(described(Gradient(t)));
  return {{"kind", "outputs"}, {"outputs", outputs}};
}

template <class Number>
static std::string list(const Number* x, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < std::min(n, kShown); ++i)  // -nan is what processors print
    out += (i ? ", " : "") + message(x[i] != x[i] ? std::abs(x[i]) : x[i]);
  return out + (n > kShown ? ", ..." : "");
}

// "[2] {0.5, nan}", or the norm of more numbers
static std::string text(const Tensor& t) {
  if (!t.defined()) return "";
  const Array& a = t.node()->value;
  if (a.size() <= kShown) return message(a.shape(), " {", list(a.data(), a.size()), '}');
  const double norm = std::sqrt(std::inner_product(a.begin(), a.end(), a.begin(), 0.0));
  return message(a.shape(), " norm ", std::isnan(norm) ? std::abs(norm) : norm);
}

static std::string text(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g); t != nullptr && t->defined()) return text(*t);
  if (auto* s = std::get_if<RowSparse>(&g))
    return message("rows ", list(s->rows.data(), s->rows.size()), " of ", s->num_rows, ": ",
                   text(s->values));
  if (auto* s = std::get_if<Slice>(&g))
    return message(text(s->dy), " at ", s->begin, " of axis ", s->axis);
  auto* all = std::get_if<Tensors>(&g);
  if (all == nullptr) return "none";
  std::string outputs;
  for (const Tensor& t : *all) outputs += (outputs.empty() ? "(" : ", ") + text(Gradient(t));
  return outputs + ')';
}

// What the pattern's brackets hold of a line; empty if it does not fit.
static std::string found_in(const std::string& line, const std::regex& pattern) {
  std::smatch match;
  return std::regex_search(line, match, pattern) ? match[1].str() : "";
}
// Never destroyed: a page may be written at the very end.
struct Patterns {
  std::regex owner{R"(^[^({]*?\b(\w+?)_?\s*[({])"};          // `lstm_(8, 16)`
  std::regex variable{R"(\b(?:Tensor|auto) (\w+) *[=({])"};  // `const Tensor y = a * b;`
  std::regex module{R"(^[\w:]*?(\w+)::operator\(\)\()"};     // gradwalk::LSTM::operator()(...)
  std::regex prefix{R"((.*)\.)"};                            // lstm.weight_ih_l0
};
static const Patterns& patterns() {
  static const Patterns& p = *new Patterns;
  return p;
}

// ---- the recording ----

struct Trace::Recording {
  std::size_t most_steps;
  std::ostream* live = nullptr;  // prints at once, and keeps nothing
  std::string stopped = {}, text = {};
  json nodes = json::array(), steps = json::array(), words = {};
  struct Seen {  // of a node
    std::string value, gradient = {};
    std::vector<Call> calls;  // none for a leaf
  };
  std::vector<Seen> seen = {};           // each of `nodes`
  std::map<Id, std::size_t> index = {};  // of a node in `nodes`
  std::map<Id, std::string> names = {};
  struct Parts {
    json list = json::array();
    std::string text = {};
  };
  std::map<Id, Parts, std::greater<>> waiting = {};  // gradients that are not finished
  Id turn = 0;                                       // whose rule runs now, or 0
  // of an update: the numbers, and the rows that the gradient names
  std::map<Id, std::pair<Array, Indices>> before = {};

  // Not by `turn` alone: a rule may have thrown.
  bool in_rule() const { return turn != 0 && Node::running != nullptr; }
  bool full() {
    if (stopped.empty() && steps.size() >= most_steps)
      stopped = message("the limit of ", most_steps, " steps is reached");
    return !stopped.empty();
  }
  std::string why() const {
    if (!stopped.empty() || turn == 0) return stopped;
    return "the rule of " + label(turn) + " did not come back";
  }
  std::string label(Id id) const {
    const auto found = names.find(id);
    return found == names.end() ? message('#', id) : found->second;
  }
  std::string label(const Tensor& t) const { return label(t.node()->id); }

  template <class... Args>
  void say(const Args&... args) {
    if (live != nullptr)
      *live << message(args...) << '\n';
    else
      text += message(args...) + '\n';
  }
  void push(json step) {
    if (live != nullptr) steps.clear();
    steps.push_back(std::move(step));
  }
  json& node(const Tensor& t, const char* op, std::vector<Call> stack = {}) {
    const Node& n = *t.node();
    if (live != nullptr) index.clear(), seen.clear(), nodes.clear();
    const auto [at, fresh] = index.emplace(n.id, nodes.size());
    if (!fresh) return nodes[at->second];
    nodes.push_back({{"id", n.id},
                     {"op", op},
                     {"inputs", ids_of(n.inputs)},
                     {"requires_grad", n.requires_grad}});
    if (!n.rule_of_many) nodes.back()["value"] = numbers(t);
    seen.push_back({n.rule_of_many ? "" : gradwalk::text(t), {}, std::move(stack)});
    return nodes.back();
  }
  json waiting_ids() const {
    json ids = json::array();
    for (const auto& entry : waiting) ids.push_back(entry.first);
    return ids;
  }

  json whole() const;
  std::string draw() const;
};

Trace::Trace(std::size_t most_steps) : recording_(new Recording{most_steps}) {}
Trace::~Trace() = default;
PrintedTape::PrintedTape(std::ostream& out) { recording_->live = &out; }

void Trace::name(const Tensor& t, const std::string& name) {
  check<std::logic_error>(t.defined(), "trace: '", name, "' refers to no tensor");
  recording_->names[t.node()->id] = name;
}
void Trace::words(const std::vector<std::string>& words) { recording_->words = words; }
void Trace::stop(const std::string& why) {
  if (recording_->stopped.empty()) recording_->stopped = why;
}

std::string Trace::stopped() const { return recording_->why(); }

void Trace::on_forward(const char* op, const Tensors& inputs, const Tensors& ys) {
  Recording& r = *recording_;
  if (r.full() || ys.empty()) return;
  const bool inner = r.in_rule();
  const json ids = ids_of(inputs);
  std::string from;
  for (const Tensor& x : inputs) from += (from.empty() ? " <- " : ", ") + r.label(x);
  for (const Tensor& y : ys) {
    r.say(inner ? "    " : "", r.label(y), ' ', op, ' ', text(y), from);
    if (inner)
      r.steps.back()["inner"].push_back(
          {{"id", y.node()->id}, {"op", op}, {"inputs", ids}, {"value", numbers(y)}});
  }
  if (inner) return;
  for (const Tensor& x : inputs) r.node(x, x.node()->op);
  const std::vector<Call> stack = call_stack();
  const bool many = ys.size() > 1 && !ys[0].node()->inputs.empty();
  const Tensor& y = many ? ys[0].node()->inputs[0] : ys[0];
  r.node(y, op, stack)["inputs"] = ids;
  json step{{"kind", "forward"}, {"node", y.node()->id}};
  if (many) {
    for (const Tensor& output : ys) r.node(output, op, stack);
    step["outputs"] = ids_of(ys);
  }
  r.push(std::move(step));
}

void Trace::on_gradient(const Tensor& x, const Gradient& dx) {
  Recording& r = *recording_;
  if (r.full() || r.in_rule()) return;  // a rule's own backward() is part of the rule
  const Id id = x.node()->id;
  Recording::Parts parts;
  if (const auto found = r.waiting.find(id); found != r.waiting.end()) {
    parts = std::move(found->second);
    r.waiting.erase(found);
  } else {  // the loss
    r.waiting.clear();
    parts.list.push_back({{"gradient", described(dx)}});
    parts.text = text(dx);
  }
  r.say("dL/d", r.label(x), " = ", parts.text, parts.list.size() > 1 ? " = " + text(dx) : "");
  r.node(x, x.node()->op);
  r.seen[r.index[id]].gradient = text(dx);
  r.push({{"kind", "backward"},
          {"node", id},
          {"parts", parts.list},
          {"dy", described(dx)},
          {"inner", json::array()},
          {"to", json::array()},
          {"waiting", r.waiting_ids()}});
  r.turn = x.node()->leaf ? 0 : id;
}

void Trace::on_backward(const Tensor& y, const Tensors&, const Gradients& dxs) {
  Recording& r = *recording_;
  const Node& n = *y.node();
  if (r.turn != n.id) return;  // of a rule's own backward(), or begun before this watched
  r.turn = 0;
  if (r.full()) return;
  json& step = r.steps.back();
  for (std::size_t i = 0; i < dxs.size(); ++i) {
    const Tensor& x = n.inputs[i];
    if (!x.requires_grad() || std::holds_alternative<std::monostate>(dxs[i])) continue;
    const json g = described(dxs[i]);
    step["to"].push_back({{"node", x.node()->id}, {"gradient", g}});
    Recording::Parts& parts = r.waiting[x.node()->id];
    parts.list.push_back({{"from", n.id}, {"gradient", g}});
    parts.text +=
        message(parts.text.empty() ? "" : " + ", text(dxs[i]), " (", r.label(y), ' ', n.op, ')');
    r.say("  -> ", r.label(x), ": ", text(dxs[i]));
  }
  step["waiting"] = r.waiting_ids();
}

// Of a large table only the rows that its gradient names are looked at, where no others move.
void Trace::on_update(const Tensor& p, const char* policy, bool done) {
  Recording& r = *recording_;
  if (r.full()) return;
  const Id id = p.node()->id;
  auto* sparse = std::get_if<RowSparse>(&p.grad());
  const bool some = sparse != nullptr && std::strcmp(policy, "densify") != 0;
  const auto values = [&](const Indices& rows) {
    if (!some) return p.value();
    const std::size_t width = rows.size() == 0 ? 0 : p.size() / sparse->num_rows;
    Array block = empty(sparse->shape_of_rows(rows.size()));
    kernels::gather_rows(rows.size(), width, rows.data(), p.value(rows).data(), block.data());
    return block;
  };
  if (!done) {
    r.node(p, "leaf");
    Indices rows = sparse ? unique_rows(sparse->rows, sparse->num_rows).unique : Indices();
    Array block = values(rows);
    r.before[id] = {std::move(block), std::move(rows)};
    return;
  }
  const auto& [old, rows] = r.before[id];
  const Tensor before(old), after(values(rows));
  const std::size_t num_rows = after.dim() == 0 ? 1 : after.shape(0);
  std::vector<char> moved(num_rows, 0);
  double largest = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const double change =
        std::abs(static_cast<double>(after.value().data()[i] - before.value().data()[i]));
    if (change != 0) moved[i / (after.size() / num_rows)] = 1;
    if (change > largest || std::isnan(change)) largest = change;
  }
  const auto num_moved = std::count(moved.begin(), moved.end(), 1);
  const std::size_t num_named = sparse ? rows.size() : num_rows;
  r.say(r.label(p), " moved ", num_moved, " of ", num_named, " rows (", policy, ") by at most ",
        largest, ": ", text(before), " -> ", text(after));
  r.push({{"kind", "update"},
          {"node", id},
          {"policy", policy},
          {"gradient", described(p.grad())},
          {"rows", num_named},
          {"moved", num_moved},
          {"largest", number(largest)},
          {"before", numbers(before)},
          {"after", numbers(after)}});
  r.before.erase(id);
}

void Trace::on_parameter(const std::string& name, const Tensor& parameter) {
  const std::vector<SourceLine> lines = source_lines(call_stack());
  const SourceLine* user = users_line(lines);
  const std::string owner = user ? found_in(source_text(*user), patterns().owner) : "";
  std::string full = (owner.empty() ? "" : owner + '.') + name;
  for (const auto& taken : recording_->names) {
    if (taken.second == full) full += message('#', parameter.node()->id);
  }
  this->name(parameter, full);
}

std::ostream& operator<<(std::ostream& out, const Trace& trace) {
  const std::string why = trace.recording_->why();
  return out << trace.recording_->text << (why.empty() ? "" : "stopped: " + why + '\n');
}

// ---- as JSON, a page and a picture ----

// The function around a line, by its place: it begins and ends at the left edge.
static json function_around(const SourceLine& at) {
  const std::vector<std::string>& text = source_file(at.file);
  const auto outside = [](const std::string& s) {
    return s.empty() || (s[0] != ' ' && s[0] != '#' && s.rfind("//", 0) != 0);
  };
  std::size_t first = static_cast<std::size_t>(at.line) - 1, last = first;
  while (first > 0 && !outside(text[first])) --first;
  while (last + 1 < text.size() && last < first + 40 && (last <= first || !outside(text[last])))
    ++last;
  const auto begin = text.begin() + static_cast<std::ptrdiff_t>(first);
  return {{"file", at.file},
          {"first", first + 1},
          {"lines",
           std::vector<std::string>(begin, begin + static_cast<std::ptrdiff_t>(last - first + 1))}};
}

// Adds what the call stacks tell: the user's line, the op's own, and the calls of modules.
json Trace::Recording::whole() const {
  json all{{"gradwalk_trace", 1},
           {"real", sizeof(Real) == 4 ? "float" : "double"},
           {"stopped", why()},
           {"scopes", json::array()},
           {"sources", json::array()},
           {"nodes", nodes},
           {"steps", steps}};
  if (!words.is_null()) all["words"] = words;
  json &scopes = all["scopes"], &sources = all["sources"];
  std::vector<Call> every;  // looked up together: each look costs a second
  for (const Seen& s : seen) every.insert(every.end(), s.calls.begin(), s.calls.end());
  source_lines(every);
  // The modules that are being called, the outermost first: type, frame and the caller's line.
  std::vector<std::tuple<std::string, std::uintptr_t, int>> open, now;
  std::vector<std::size_t> open_scopes;
  // The last node that is made for a variable, or of those that other lines use.
  std::map<std::string, std::size_t> variables, used;
  std::vector<std::string> made_for(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    json& n = all["nodes"][i];
    if (const auto named = names.find(n["id"]); named != names.end()) n["name"] = named->second;
    if (seen[i].calls.empty()) continue;
    std::vector<std::uintptr_t> frames;
    const std::vector<SourceLine> lines = source_lines(seen[i].calls, &frames);
    if (const SourceLine* user = users_line(lines)) {
      const std::string line = source_text(*user);
      n["called"] = {{"file", user->file}, {"line", user->line}, {"text", line}};
      made_for[i] = found_in(line, patterns().variable);
      variables[made_for[i]] = i;
    }
    for (const json& x : n["inputs"]) {
      const std::size_t k = index.at(x);
      if (made_for[k] != made_for[i]) used[made_for[k]] = std::max(k, used[made_for[k]]);
    }
    const auto record = std::find_if(lines.begin(), lines.end(), [](const SourceLine& at) {
      return at.function.rfind("gradwalk::record", 0) == 0;
    });
    if (record != lines.end() && record + 1 != lines.end() &&
        !source_text(record[1]).empty()) {  // its caller is the op
      const json source = function_around(record[1]);
      auto at = std::find(sources.begin(), sources.end(), source);
      if (at == sources.end()) sources.push_back(source), at = sources.end() - 1;
      n["rule"] = {{"source", at - sources.begin()}, {"line", record[1].line}};
    }
    now.clear();
    for (std::size_t k = lines.size(); k-- > 0;) {
      const std::string& function = lines[k].function;
      if (function.find("::operator()(") == std::string::npos) continue;  // a regex is slow
      const std::string type = found_in(function, patterns().module);
      if (!type.empty())
        now.emplace_back(type, frames[k], k + 1 < lines.size() ? lines[k + 1].line : 0);
    }
    const auto differ = std::mismatch(open.begin(), open.end(), now.begin(), now.end()).first;
    open_scopes.resize(static_cast<std::size_t>(differ - open.begin()));
    while (open_scopes.size() < now.size()) {
      scopes.push_back({{"name", ""}, {"type", std::get<0>(now[open_scopes.size()])}});
      if (!open_scopes.empty()) scopes.back()["parent"] = open_scopes.back();
      open_scopes.push_back(scopes.size() - 1);
    }
    open = now;
    if (open.empty()) continue;
    n["scope"] = open_scopes.back();
    for (const json& x : n["inputs"]) {  // it is called as the names of its parameters begin
      const std::string name = found_in(label(x), patterns().prefix);
      if (!name.empty()) scopes[open_scopes.back()]["name"] = name;
    }
  }
  for (json& scope : scopes) {
    if (scope["name"] == "") scope["name"] = scope["type"];
  }
  for (const auto& [name, last] : variables) {
    json& n = all["nodes"][used.count(name) ? used[name] : last];
    if (!name.empty() && !n.contains("name")) n["name"] = name;
  }
  return all;
}

// Names and source texts may be any bytes; what is not UTF-8 in them is replaced.
static std::string dumped(const json& j) {
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

void Trace::save(const std::string& path) const {
  write_file(path, dumped(recording_->whole()) + '\n');
}

void Trace::save_page(const std::string& path) const {
  write_page(path, kSeePage, "/*TRACE*/null", dumped(recording_->whole()));
}

std::string Trace::Recording::draw() const {
  const json all = whole();
  const auto quoted = [](const std::string& label) {
    return std::regex_replace(label, std::regex(R"(["\\])"), "\\$&");
  };
  std::string out = "digraph {\n  rankdir=LR; node [shape=box];\n", edges;
  std::map<std::size_t, std::string> inside;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const json& n = all["nodes"][i];
    const std::string id = n["id"].dump(), op = n["op"], name = n.value("name", ""),
                      &value = seen[i].value, &gradient = seen[i].gradient;
    (n.contains("scope") ? inside[n["scope"]] : out) +=
        message("  ", id, " [label=\"", quoted(name.empty() ? op : name + ' ' + op),
                value.empty() ? "" : "\\n" + value, gradient.empty() ? "" : "\\ngrad " + gradient,
                n["inputs"].empty() ? "\", style=rounded];\n" : "\"];\n");
    for (const json& x : n["inputs"]) edges += "  " + x.dump() + " -> " + id + ";\n";
  }
  for (const auto& [scope, lines] : inside)
    out += message("  subgraph cluster_", scope, " { label=\"",
                   quoted(all["scopes"][scope]["name"]), "\";\n", lines, "  }\n");
  return out + edges + "}\n";
}

std::string Trace::draw() const { return recording_->draw(); }

std::string draw(const Tensor& y) {
  y.shape();  // throws if it refers to nothing
  Trace::Recording graph{SIZE_MAX};
  std::map<Id, Tensor, std::greater<>> waiting{{y.node()->id, y}};
  while (!waiting.empty()) {
    const Tensor t = waiting.begin()->second;
    waiting.erase(waiting.begin());
    graph.node(t, t.node()->op);
    if (t.node()->grad) graph.seen.back().gradient = text(*t.node()->grad);
    for (const Tensor& x : t.node()->inputs) waiting.emplace(x.node()->id, x);
  }
  return graph.draw();
}

}  // namespace gradwalk
