#include "core/profile.hpp"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/file.hpp"
#include "core/gradient.hpp"

namespace gradwalk {

static constexpr std::size_t kMostEvents = 200000;  // in the file

static std::size_t bytes(const Tensor& t) { return t.defined() ? t.size() * sizeof(Real) : 0; }

double Profile::lap(const std::string& name, const char* kind) {
  const Clock::time_point now = Clock::now();
  const std::chrono::duration<double> took = now - last_, since = last_ - start_;
  last_ = now;
  if (events_.size() < kMostEvents) events_.push_back({name, kind, since.count(), took.count()});
  return took.count();
}

// Before the first rule runs most values are alive.
void Profile::note_peak() {
  std::size_t sum = 0;
  std::map<std::string, std::size_t> kept;
  for (const auto& [weak, op] : values_) {
    if (const std::shared_ptr<Node> node = weak.lock()) {
      sum += node->value.size() * sizeof(Real);
      kept[op] += node->value.size() * sizeof(Real);
    }
  }
  values_.clear();
  if (sum <= peak_) return;
  peak_ = sum;
  for (auto& [name, op] : ops_) op.kept = kept[name];
}

void Profile::on_forward(const char* op, const Tensors&, const Tensors& ys) {
  if (Node::running != nullptr) return;  // it counts for the rule
  walking_ = false;
  Op& o = ops_[op];
  ++o.calls;
  o.forward += lap(op, "forward");
  for (const Tensor& y : ys) {
    o.values += bytes(y);
    if (y.requires_grad()) values_.emplace_back(y.node(), op);
  }
  if (values_.size() > kMostEvents) note_peak();  // no backward() comes
}

void Profile::on_gradient(const Tensor&, const Gradient&) {
  if (!walking_) note_peak();
  walking_ = true;
  last_ = Clock::now();
}

void Profile::on_backward(const Tensor& y, const Tensors&, const Gradients& dxs) {
  Op& o = ops_[y.node()->op];
  o.backward += lap(y.node()->op, "backward");
  for (const Gradient& dx : dxs) {
    for (const Tensor& t : parts_of(dx)) o.gradients += bytes(t);
    if (auto* s = std::get_if<RowSparse>(&dx)) o.gradients += s->rows.size() * sizeof(std::int64_t);
  }
}

void Profile::on_update(const Tensor&, const char*, bool done) {
  if (!done) {
    last_ = Clock::now();
    return;
  }
  Op& o = ops_["(optimizer)"];
  ++o.calls;
  o.forward += lap("(optimizer)", "update");
}

std::ostream& operator<<(std::ostream& stream, const Profile& profile) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  std::vector<std::pair<std::string, Profile::Op>> rows(profile.ops_.begin(), profile.ops_.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second.forward + a.second.backward > b.second.forward + b.second.backward;
  });
  Profile::Op total;
  for (const auto& [name, op] : rows) {
    total.calls += op.calls, total.forward += op.forward, total.backward += op.backward;
    total.values += op.values, total.gradients += op.gradients, total.kept += op.kept;
  }
  rows.emplace_back("all", total);
  const auto line = [&out](const std::string& name, const auto&... cells) {
    out << std::left << std::setw(20) << name << std::right;
    ((out << std::setw(13) << cells), ...) << '\n';
  };
  line("op", "calls", "forward ms", "backward ms", "%", "values KB", "gradients KB", "KB kept");
  out << std::fixed << std::setprecision(2);
  const double percent = 100 / std::max(total.forward + total.backward, 1e-12), kb = 1e-3;
  for (const auto& [name, op] : rows)
    line(name, op.calls, op.forward * 1e3, op.backward * 1e3, (op.forward + op.backward) * percent,
         static_cast<double>(op.values) * kb, static_cast<double>(op.gradients) * kb,
         static_cast<double>(op.kept) * kb);
  return stream << out.str();
}

void Profile::save(const std::string& path) const {
  nlohmann::json events = nlohmann::json::array();
  for (const Event& e : events_)
    events.push_back({{"name", e.name},
                      {"cat", e.kind},
                      {"ph", "X"},
                      {"ts", e.start * 1e6},
                      {"dur", e.seconds * 1e6},
                      {"pid", 1},
                      {"tid", 1}});
  write_file(path, nlohmann::json{{"traceEvents", events}}.dump());
}

}  // namespace gradwalk
