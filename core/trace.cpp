#include "core/trace.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

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

// ---- numbers and gradients ----

static constexpr std::size_t kInFull = 64, kEnds = 3, kRows = 256;

static json number(double x) {
  if (std::isfinite(x)) return x;
  return std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

static json numbers(const Array& a) {
  const auto list = [](const Real* from, std::size_t n) {
    json values = json::array();
    for (std::size_t i = 0; i < n; ++i) values.push_back(number(static_cast<double>(from[i])));
    return values;
  };
  json j{{"shape", std::vector<std::size_t>(a.shape().begin(), a.shape().end())}};
  const std::size_t n = a.size();
  if (n <= kInFull) {
    j["values"] = list(a.data(), n);
    return j;
  }
  double least = HUGE_VAL, most = -HUGE_VAL, sum = 0, squares = 0;
  std::size_t bad = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(a.data()[i]);
    if (!std::isfinite(x)) ++bad;
    least = std::min(least, x), most = std::max(most, x);
    sum += x, squares += x * x;
  }
  j.update({{"min", number(least)},
            {"max", number(most)},
            {"mean", number(sum / static_cast<double>(n))},
            {"norm", number(std::sqrt(squares))},
            {"bad", bad},
            {"first", list(a.data(), kEnds)},
            {"last", list(a.data() + n - kEnds, kEnds)}});
  return j;
}

// The value as it lies there: nothing is brought up to date, nothing refused.
static json numbers(const Tensor& t) { return t.defined() ? numbers(t.node()->value) : json(); }

static json described(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g); t != nullptr && t->defined())
    return {{"kind", "dense"}, {"numbers", numbers(*t)}};
  if (auto* s = std::get_if<RowSparse>(&g)) {
    const Shape& shape = s->rows.shape();
    const std::size_t n = std::min(kRows, s->rows.size());
    return {{"kind", "rows"},
            {"rows", std::vector<std::int64_t>(s->rows.data(), s->rows.data() + n)},
            {"rows_shape", std::vector<std::size_t>(shape.begin(), shape.end())},
            {"num_rows", s->num_rows},
            {"coalesced", s->coalesced},
            {"numbers", numbers(s->values)}};
  }
  if (auto* s = std::get_if<Slice>(&g))
    return {{"kind", "slice"},
            {"shape", std::vector<std::size_t>(s->shape.begin(), s->shape.end())},
            {"axis", s->axis},
            {"begin", s->begin},
            {"numbers", numbers(s->dy)}};
  if (auto* all = std::get_if<Tensors>(&g)) {
    json outputs = json::array();
    for (const Tensor& t : *all) outputs.push_back(described(Gradient(t)));
    return {{"kind", "outputs"}, {"outputs", outputs}};
  }
  return {{"kind", "none"}};
}

// ---- names from source text ----

static std::string identifier(const std::string& text, std::size_t begin) {
  std::size_t end = begin;
  while (end < text.size() &&
         (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_'))
    ++end;
  return text.substr(begin, end - begin);
}

// "LSTM" of "gradwalk::LSTM::operator()(gradwalk::Tensor const&) const"; empty for other functions.
static std::string module_of(const std::string& function) {
  const std::size_t end = function.find("::operator()(");
  if (end == std::string::npos || function.find_first_of("<(") < end) return "";
  const std::size_t colon = function.rfind("::", end - 1);
  return identifier(function, colon == std::string::npos ? 0 : colon + 2);
}

// "y" of "  const Tensor y = a * b;"; empty if the line makes no tensor.
static std::string variable_of(const std::string& line) {
  for (const char* type : {"Tensor ", "auto "}) {
    const std::size_t at = line.find(type), begin = at + std::strlen(type);
    if (at == std::string::npos) continue;
    const std::string name = identifier(line, begin);
    const std::size_t next = line.find_first_not_of(' ', begin + name.size());
    if (!name.empty() && next != std::string::npos && std::strchr("=({", line[next])) return name;
  }
  return "";
}

// ---- the recording ----

struct Trace::Recording {
  std::size_t most_steps;
  std::string stopped = {};
  json nodes = json::array(), steps = json::array(), words = {};
  std::map<Id, std::size_t> index = {};       // of a node in `nodes`
  std::vector<std::vector<Call>> calls = {};  // of each node; empty for a leaf
  std::map<Id, std::string> names = {};
  std::map<Id, json, std::greater<>> waiting = {};  // parts of gradients that are not finished
  Id turn = 0;                                      // whose rule runs now, or 0
  std::map<Id, std::pair<Array, Indices>> before =
      {};  // an update: values, and rows that are named

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

  json& node(const Tensor& t, const char* op, const std::vector<Call>& stack = {}) {
    const Node& n = *t.node();
    const auto [at, fresh] = index.emplace(n.id, nodes.size());
    if (!fresh) return nodes[at->second];
    json j{{"id", n.id}, {"op", op}, {"inputs", json::array()}, {"requires_grad", n.requires_grad}};
    for (const Tensor& x : n.inputs) j["inputs"].push_back(x.node()->id);
    if (!n.rule_of_many) j["value"] = numbers(t);
    nodes.push_back(std::move(j));
    calls.push_back(stack);
    return nodes.back();
  }

  json waiting_ids() const {
    json ids = json::array();
    for (const auto& entry : waiting) ids.push_back(entry.first);
    return ids;
  }

  std::string label(Id id) const {
    const auto found = names.find(id);
    return found == names.end() ? message('#', id) : found->second;
  }

  json whole() const;
  void print(std::ostream& out, const json& step, const char* only = "") const;
};

Trace::Trace(std::size_t most_steps) : recording_(new Recording{most_steps}) {}
Trace::~Trace() = default;

void Trace::name(const Tensor& t, const std::string& name) {
  check<std::logic_error>(t.defined(), "trace: '", name, "' refers to no tensor");
  recording_->names[t.node()->id] = name;
}
void Trace::words(const std::vector<std::string>& words) { recording_->words = words; }
void Trace::stop(const std::string& why) {
  if (recording_->stopped.empty()) recording_->stopped = why;
}

void Trace::on_forward(const char* op, const Tensors& inputs, const Tensors& ys) {
  Recording& r = *recording_;
  if (r.full()) return;
  json ids = json::array();
  for (const Tensor& x : inputs) ids.push_back(x.node()->id);
  if (ys.empty()) return;
  if (r.in_rule()) {  // one of its own
    for (const Tensor& y : ys)
      r.steps.back()["inner"].push_back(
          {{"id", y.node()->id}, {"op", op}, {"inputs", ids}, {"value", numbers(y)}});
    return;
  }
  for (const Tensor& x : inputs) r.node(x, x.node()->op);
  const std::vector<Call> stack = call_stack();
  if (ys.size() == 1 || ys[0].node()->inputs.empty()) {
    r.node(ys[0], op, stack)["inputs"] = ids;
    r.steps.push_back({{"kind", "forward"}, {"node", ys[0].node()->id}});
    return;
  }
  const Tensor& whole = ys[0].node()->inputs[0];  // of an op with several outputs
  r.node(whole, op, stack);
  json outputs = json::array();
  for (const Tensor& y : ys) {
    r.node(y, op, stack);
    outputs.push_back(y.node()->id);
  }
  r.steps.push_back({{"kind", "forward"}, {"node", whole.node()->id}, {"outputs", outputs}});
}

void Trace::on_gradient(const Tensor& x, const Gradient& dx) {
  Recording& r = *recording_;
  if (r.full() || r.in_rule()) return;  // a rule's own backward() is part of the rule
  const Id id = x.node()->id;
  json parts = json::array();
  if (r.waiting.count(id) == 0) {  // the loss
    r.waiting.clear();
    parts.push_back({{"gradient", described(dx)}});
  } else {
    parts = r.waiting[id];
    r.waiting.erase(id);
  }
  r.node(x, x.node()->op);
  r.steps.push_back({{"kind", "backward"},
                     {"node", id},
                     {"parts", parts},
                     {"dy", described(dx)},
                     {"inner", json::array()},
                     {"to", json::array()},
                     {"waiting", r.waiting_ids()}});
  r.turn = x.node()->leaf ? 0 : id;
}

void Trace::on_backward(const Tensor& y, const Tensors&, const Gradients& dxs) {
  Recording& r = *recording_;
  if (r.turn != y.node()->id) return;  // of a rule's own backward(), or begun before this watched
  r.turn = 0;
  if (r.full()) return;
  json& step = r.steps.back();
  for (std::size_t i = 0; i < dxs.size(); ++i) {
    const Tensor& x = y.node()->inputs[i];
    if (!x.requires_grad() || std::holds_alternative<std::monostate>(dxs[i])) continue;
    const json g = described(dxs[i]);
    step["to"].push_back({{"node", x.node()->id}, {"gradient", g}});
    r.waiting[x.node()->id].push_back({{"from", y.node()->id}, {"gradient", g}});
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
  const auto& [before, rows] = r.before[id];
  const Array after = values(rows);
  const std::size_t num_rows = after.dimension() == 0 ? 1 : after.shape()[0];
  const std::size_t width = num_rows == 0 ? 0 : after.size() / num_rows;
  std::size_t moved = 0;
  double largest = 0;
  for (std::size_t i = 0; i < num_rows; ++i) {
    double most = 0;
    for (std::size_t k = i * width; k < (i + 1) * width; ++k) {
      const double change = std::abs(static_cast<double>(after.data()[k] - before.data()[k]));
      if (change > most || std::isnan(change)) most = change;
    }
    moved += most != 0;
    if (most > largest || std::isnan(most)) largest = most;
  }
  r.steps.push_back({{"kind", "update"},
                     {"node", id},
                     {"policy", policy},
                     {"gradient", described(p.grad())},
                     {"rows", sparse ? rows.size() : num_rows},
                     {"moved", moved},
                     {"largest", number(largest)},
                     {"before", numbers(before)},
                     {"after", numbers(after)}});
  r.before.erase(id);
}

// The last name before the first bracket is the variable or the member: `lstm_(8, 16)`.
void Trace::on_parameter(const std::string& name, const Tensor& parameter) {
  const std::vector<SourceLine> lines = source_lines(call_stack());
  const SourceLine* user = users_line(lines);
  std::string text;
  if (user != nullptr) {
    const std::vector<std::string> file = source_text(user->file);
    const std::size_t line = static_cast<std::size_t>(user->line);
    if (line >= 1 && line <= file.size()) text = file[line - 1];
  }
  std::size_t end = std::min(text.find_first_of("({"), text.size()), begin = end;
  while (begin > 0 &&
         (std::isalnum(static_cast<unsigned char>(text[begin - 1])) || text[begin - 1] == '_'))
    --begin;
  if (end > begin && text[end - 1] == '_') --end;
  std::string full = (end > begin ? text.substr(begin, end - begin) + '.' : "") + name;
  for (const auto& taken : recording_->names) {
    if (taken.second == full) full += message('#', parameter.node()->id);
  }
  this->name(parameter, full);
}

// ---- as text ----

static std::string number_text(const json& x) {
  return x.is_string() ? x.get<std::string>() : message(x.get<double>());
}

static std::string text(const json& numbers) {
  if (numbers.is_null()) return "";
  const json& shape = numbers["shape"];
  std::string out = "[";
  for (const json& n : shape) out += (out.size() > 1 ? ", " : "") + n.dump();
  out += "] ";
  if (numbers.contains("values") && numbers["values"].size() <= 8) {
    std::string list;
    for (const json& x : numbers["values"]) list += (list.empty() ? "" : ", ") + number_text(x);
    return out + '{' + list + '}';
  }
  double squares = 0;
  if (numbers.contains("values")) {
    for (const json& x : numbers["values"])
      squares += x.is_string() ? NAN : x.get<double>() * x.get<double>();
  }
  return out + "norm " +
         (numbers.contains("norm") ? number_text(numbers["norm"]) : message(std::sqrt(squares)));
}

static std::string gradient_text(const json& g) {
  const std::string kind = g["kind"];
  if (kind == "none") return "none";
  if (kind == "outputs") {
    std::string all;
    for (const json& output : g["outputs"])
      all += (all.empty() ? "(" : ", ") + gradient_text(output);
    return all + ')';
  }
  std::string out = text(g["numbers"]);
  if (kind == "slice") out += message(" at ", g["begin"], " of axis ", g["axis"]);
  if (kind != "rows") return out;
  std::string rows;
  const std::size_t n = std::min<std::size_t>(8, g["rows"].size());
  for (std::size_t i = 0; i < n; ++i) rows += (i ? ", " : "") + g["rows"][i].dump();
  return message("rows ", rows, n < g["rows"].size() ? ", ..." : "", " of ", g["num_rows"], ": ",
                 out);
}

// `only`, if given: the part of a backward step that is known so far.
void Trace::Recording::print(std::ostream& out, const json& step, const char* only) const {
  const auto made = [&](const json& op) {
    std::string line =
        label(op["id"]) + ' ' + op["op"].get<std::string>() + ' ' + text(op["value"]);
    for (const json& x : op["inputs"])
      line += (&x == &op["inputs"].front() ? " <- " : ", ") + label(x);
    return line + '\n';
  };
  const std::string kind = step["kind"], name = label(step["node"]);
  const json& n = nodes[index.at(step["node"])];
  if (kind == "forward") {
    if (!step.contains("outputs")) out << made(n);
    for (const json& y : step.value("outputs", json::array())) {
      json output = nodes[index.at(y)];
      output["inputs"] = n["inputs"];
      out << made(output);
    }
  } else if (kind == "update") {
    out << name << " moved " << step["moved"] << " of " << step["rows"] << " rows ("
        << step["policy"].get<std::string>() << ") by at most " << number_text(step["largest"])
        << ": " << text(step["before"]) << " -> " << text(step["after"]) << '\n';
  } else {
    const std::string part = only;
    if (part.empty() || part == "dy") {
      out << "dL/d" << name << " = ";
      const json& parts = step["parts"];
      for (const json& p : parts) {
        out << (&p == &parts.front() ? "" : " + ") << gradient_text(p["gradient"]);
        if (p.contains("from"))
          out << " (" << label(p["from"]) << ' '
              << nodes[index.at(p["from"])]["op"].get<std::string>() << ')';
      }
      if (parts.size() > 1) out << " = " << gradient_text(step["dy"]);
      out << '\n';
    }
    const json& inner = step["inner"];
    if (part == "inner") out << "    " << made(inner.back());
    for (const json& op : inner) {
      if (part.empty()) out << "    " << made(op);
    }
    if (part.empty() || part == "to") {
      for (const json& to : step["to"])
        out << "  -> " << label(to["node"]) << ": " << gradient_text(to["gradient"]) << '\n';
    }
  }
}

std::ostream& operator<<(std::ostream& out, const Trace& trace) {
  for (const json& step : trace.recording_->steps) trace.recording_->print(out, step);
  const std::string why = trace.recording_->why();
  if (!why.empty()) out << "stopped: " << why << '\n';
  return out;
}

void PrintedTape::print(const char* only) {
  if (!recording_->steps.empty()) recording_->print(out_, recording_->steps.back(), only);
}
void PrintedTape::on_forward(const char* op, const Tensors& inputs, const Tensors& ys) {
  Trace::on_forward(op, inputs, ys);
  const bool inner = recording_->in_rule();
  print(inner ? "inner" : "");
  if (!inner) recording_->steps.clear();
}
void PrintedTape::on_gradient(const Tensor& x, const Gradient& dx) {
  if (recording_->in_rule()) return;
  recording_->steps.clear();
  Trace::on_gradient(x, dx);
  print("dy");
}
void PrintedTape::on_backward(const Tensor& y, const Tensors& dys, const Gradients& dxs) {
  if (recording_->turn != y.node()->id) return;
  Trace::on_backward(y, dys, dxs);
  print("to");
  recording_->steps.clear();
}
void PrintedTape::on_update(const Tensor& parameter, const char* policy, bool done) {
  Trace::on_update(parameter, policy, done);
  if (done) print("");
  recording_->steps.clear();
}

// ---- as JSON, a page and a picture ----

// The function around a line, by its place: it begins and ends at the left edge.
static json function_around(const std::vector<std::string>& text, int line) {
  const auto outside = [](const std::string& s) {
    return s.empty() || (s[0] != ' ' && s[0] != '#' && s.rfind("//", 0) != 0);
  };
  std::size_t first = static_cast<std::size_t>(line) - 1, last = first;
  while (first > 0 && !outside(text[first])) --first;
  while (last + 1 < text.size() && last < first + 40 && (last <= first || !outside(text[last])))
    ++last;
  json lines = json::array();
  for (std::size_t i = first; i <= last; ++i) lines.push_back(text[i]);
  return {{"first", first + 1}, {"lines", lines}};
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
  struct Open {
    std::string type;
    std::uintptr_t frame;
    int line;  // of the caller
    bool operator==(const Open& o) const {
      return type == o.type && frame == o.frame && line == o.line;
    }
  };
  std::vector<Open> open;
  std::vector<std::size_t> scopes;  // of `open`, in all["scopes"]
  std::map<std::pair<std::string, std::size_t>, std::size_t> sources;
  std::map<std::string, std::vector<std::string>> files;
  const auto file = [&](const std::string& path) -> const std::vector<std::string>& {
    const auto [at, fresh] = files.try_emplace(path);
    if (fresh) at->second = source_text(path);
    return at->second;
  };
  std::vector<Call> every;  // looked up together: each look costs a second
  for (const std::vector<Call>& stack : calls)
    every.insert(every.end(), stack.begin(), stack.end());
  source_lines(every);
  std::map<std::string, std::vector<Id>> made;  // by the line that makes a variable of that name
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    json& n = all["nodes"][i];
    const Id id = n["id"];
    if (names.count(id)) n["name"] = names.at(id);
    if (calls[i].empty()) continue;
    std::vector<std::uintptr_t> frames;
    const std::vector<SourceLine> lines = source_lines(calls[i], &frames);
    const SourceLine* user = users_line(lines);
    const std::size_t end = user ? static_cast<std::size_t>(user - lines.data()) : lines.size();
    const auto text_of = [&](const SourceLine& at) {
      const auto& text = file(at.file);
      const std::size_t line = static_cast<std::size_t>(at.line);
      return line >= 1 && line <= text.size() ? text[line - 1] : std::string();
    };
    if (user) {
      const std::string text = text_of(*user);
      n["called"] = {{"file", user->file}, {"line", user->line}, {"text", text}};
      const std::string variable = variable_of(text);
      if (!variable.empty()) made[variable].push_back(id);
    }
    for (std::size_t k = 0; k + 1 < end; ++k) {  // the caller of record() is the op
      if (lines[k].function.rfind("gradwalk::record", 0) != 0) continue;
      const SourceLine& op = lines[k + 1];
      if (op.line < 1 || static_cast<std::size_t>(op.line) > file(op.file).size()) break;
      const json source = function_around(file(op.file), op.line);
      const auto [at, fresh] = sources.emplace(
          std::make_pair(op.file, source["first"].get<std::size_t>()), sources.size());
      if (fresh) {
        all["sources"].push_back({{"file", op.file}});
        all["sources"].back().update(source);
      }
      n["rule"] = {{"source", at->second}, {"line", op.line}};
      break;
    }
    std::vector<Open> now;  // the outermost first
    for (std::size_t k = lines.size(); k-- > 0;) {
      const std::string type = module_of(lines[k].function);
      if (!type.empty())
        now.push_back({type, frames[k], k + 1 < lines.size() ? lines[k + 1].line : 0});
    }
    std::size_t same = 0;
    while (same < std::min(open.size(), now.size()) && open[same] == now[same]) ++same;
    scopes.resize(same);
    for (std::size_t k = same; k < now.size(); ++k) {
      json scope{{"name", ""}, {"type", now[k].type}};
      if (k > 0) scope["parent"] = scopes.back();
      scopes.push_back(all["scopes"].size());
      all["scopes"].push_back(scope);
    }
    open = now;
    if (!scopes.empty()) n["scope"] = scopes.back();
    // A module is called as the names of its parameters begin.
    for (const json& x : n["inputs"]) {
      const std::string& leaf = names.count(x) ? names.at(x) : std::string();
      const std::size_t dot = leaf.rfind('.');
      if (dot != std::string::npos && !scopes.empty())
        all["scopes"][scopes.back()]["name"] = leaf.substr(0, dot);
    }
  }
  for (json& scope : all["scopes"]) {
    if (scope["name"] == "") scope["name"] = scope["type"];
  }
  std::map<Id, std::vector<Id>> users;
  for (const json& n : nodes) {
    for (const json& x : n["inputs"]) users[x].push_back(n["id"]);
  }
  for (const auto& [name, ids] : made) {  // the last one that another line uses
    const auto leaves = [&ids = ids, &users](Id id) {
      const std::vector<Id>& by = users[id];
      return std::any_of(by.begin(), by.end(), [&ids](Id user) {
        return std::find(ids.begin(), ids.end(), user) == ids.end();
      });
    };
    const auto last = std::find_if(ids.rbegin(), ids.rend(), leaves);
    json& n = all["nodes"][index.at(last == ids.rend() ? ids.back() : *last)];
    if (!n.contains("name")) n["name"] = name;
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
  std::string data, page = kSeePage;
  for (char c : dumped(recording_->whole())) data += c == '<' ? "\\u003c" : std::string(1, c);
  const std::string place = "/*TRACE*/null";
  page.replace(page.find(place), place.size(), data);
  write_file(path, page);
}

static std::string in_dot(const std::string& text) {
  std::string quoted;
  for (char c : text) quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
  return quoted;
}

static std::string dot_of(const json& nodes, const std::map<Id, std::string>& gradients,
                          const json& scopes) {
  std::string out = "digraph {\n  rankdir=LR; node [shape=box];\n", edges;
  std::map<std::size_t, std::string> inside;
  for (const json& n : nodes) {
    const std::string id = n["id"].dump(), name = n.value("name", "");
    std::string label = in_dot(name.empty() ? n["op"].get<std::string>()
                                            : name + "\n" + n["op"].get<std::string>());
    std::replace(label.begin(), label.end(), '\n', ' ');
    if (n.contains("value")) label += "\\n" + in_dot(text(n["value"]));
    const auto grad = gradients.find(n["id"]);
    if (grad != gradients.end()) label += "\\ngrad " + in_dot(grad->second);
    const std::string line = "  " + id + " [label=\"" + label + "\"" +
                             (n["inputs"].empty() ? ", style=rounded" : "") + "];\n";
    (n.contains("scope") ? inside[n["scope"]] : out) += line;
    for (const json& x : n["inputs"]) edges += "  " + x.dump() + " -> " + id + ";\n";
  }
  for (const auto& [scope, lines] : inside)
    out += message("  subgraph cluster_", scope, " { label=\"",
                   in_dot(scopes[scope]["name"].get<std::string>()), "\";\n", lines, "  }\n");
  return out + edges + "}\n";
}

std::string Trace::draw() const {
  const json all = recording_->whole();
  std::map<Id, std::string> gradients;
  for (const json& step : all["steps"]) {
    if (step["kind"] == "backward") gradients[step["node"]] = gradient_text(step["dy"]);
  }
  return dot_of(all["nodes"], gradients, all["scopes"]);
}

std::string draw(const Tensor& y) {
  y.shape();  // throws if it refers to nothing
  json nodes = json::array();
  std::map<Id, std::string> gradients;
  std::map<Id, Tensor, std::greater<>> waiting{{y.node()->id, y}};
  while (!waiting.empty()) {
    const Tensor t = waiting.begin()->second;
    waiting.erase(waiting.begin());
    const Node& n = *t.node();
    json j{{"id", n.id}, {"op", n.op}, {"inputs", json::array()}};
    if (!n.rule_of_many) j["value"] = numbers(t);
    for (const Tensor& x : n.inputs) {
      j["inputs"].push_back(x.node()->id);
      waiting.emplace(x.node()->id, x);
    }
    if (n.grad) gradients[n.id] = gradient_text(described(*n.grad));
    nodes.push_back(j);
  }
  return dot_of(nodes, gradients, {});
}

}  // namespace gradwalk
