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

static std::size_t bytes(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g)) return bytes(*t);
  if (auto* s = std::get_if<RowSparse>(&g))
    return bytes(s->values) + s->rows.size() * sizeof(std::int64_t);
  if (auto* s = std::get_if<Slice>(&g)) return bytes(s->dy);
  std::size_t sum = 0;
  if (auto* all = std::get_if<Tensors>(&g)) {
    for (const Tensor& t : *all) sum += bytes(t);
  }
  return sum;
}

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
  for (const Gradient& dx : dxs) o.gradients += bytes(dx);
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
  out << std::left << std::setw(20) << "op" << std::right << std::setw(9) << "calls"
      << std::setw(12) << "forward ms" << std::setw(13) << "backward ms" << std::setw(7) << "%"
      << std::setw(11) << "values KB" << std::setw(13) << "gradients KB" << std::setw(14)
      << "KB kept" << '\n';
  out << std::fixed;
  const double all = std::max(total.forward + total.backward, 1e-12);
  for (const auto& [name, op] : rows) {
    out << std::left << std::setw(20) << name << std::right << std::setw(9) << op.calls
        << std::setprecision(2) << std::setw(12) << op.forward * 1e3 << std::setw(13)
        << op.backward * 1e3 << std::setprecision(1) << std::setw(7)
        << 100 * (op.forward + op.backward) / all << std::setw(11)
        << static_cast<double>(op.values) / 1e3 << std::setw(13)
        << static_cast<double>(op.gradients) / 1e3 << std::setw(14)
        << static_cast<double>(op.kept) / 1e3 << '\n';
  }
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
  const std::string text = nlohmann::json{{"traceEvents", events}}.dump();
  write_file(path, text);
}

}  // namespace gradwalk
