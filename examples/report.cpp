#include "examples/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "core/error.hpp"
#include "core/file.hpp"
#include "core/gradient.hpp"
#include "examples/json.hpp"
#include "examples/text.hpp"

extern const char* const kReportPage;  // report.html

using gradwalk::RowSparse;
using gradwalk::Tensor;

namespace {

// JSON has no word for numbers that are not finite.
Report::Json number(double x) {
  if (std::isfinite(x)) return x;
  return std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

}  // namespace

bool is_page(const std::string& path) {
  const std::string end = ".html";
  return path.size() >= end.size() && path.substr(path.size() - end.size()) == end;
}

Report::Report(Paths paths, const char* program, const Json& config,
               const gradwalk::StateDict& parameters)
    : json({{"program", program}, {"config", config}, {"epochs", Json::array()}}),
      paths_(std::move(paths)),
      parameters_(parameters),
      seen_(parameters.size()) {}

void Report::on_update(const Tensor& parameter, const char* /*policy*/, bool done) {
  const auto at = std::find_if(parameters_.begin(), parameters_.end(), [&](const auto& named) {
    return named.second.node() == parameter.node();
  });
  if (done || at == parameters_.end()) return;
  Seen& seen = seen_[static_cast<std::size_t>(at - parameters_.begin())];
  gradwalk::Gradient gradient = parameter.grad();
  if (const auto* sparse = std::get_if<RowSparse>(&gradient)) {
    const RowSparse once = coalesce(*sparse);  // which norm() then need not do again
    seen.touched.resize(once.num_rows);
    for (std::size_t i = 0; i < once.rows.size(); ++i) {
      seen.touched[static_cast<std::size_t>(once.rows.data()[i])] = true;
    }
    seen.shares += ratio(once.rows.size(), once.num_rows);
    gradient = once;
  }
  const double size = norm(gradient);
  ++seen.steps;
  seen.norms += size;
  if (std::isnan(size) || size > seen.largest) seen.largest = size;  // once NaN, it stays NaN
}

void Report::end_epoch(Json figures, bool best) {
  if (best) json["best_epoch"] = figures["epoch"];
  for (Json& figure : figures) {
    if (figure.is_number_float()) figure = number(figure.get<double>());
  }
  figures["gradients"] = Json::object();
  for (std::size_t k = 0; k < seen_.size(); ++k) {
    const Seen seen = std::exchange(seen_[k], {});
    if (seen.steps == 0) continue;
    const auto steps = static_cast<double>(seen.steps);
    Json& gradient = figures["gradients"][parameters_[k].first];
    gradient = {{"mean", number(seen.norms / steps)}, {"largest", number(seen.largest)}};
    if (!seen.touched.empty()) {
      const auto rows = std::count(seen.touched.begin(), seen.touched.end(), true);
      gradient["step_rows"] = seen.shares / steps;
      gradient["epoch_rows"] = ratio(static_cast<std::size_t>(rows), seen.touched.size());
    }
  }
  json["epochs"].push_back(std::move(figures));
  try {
    write();
  } catch (const gradwalk::FileError& e) {
    std::fprintf(stderr, "%s: %s\n", json["program"].get<std::string>().c_str(), e.what());
  }
}

void Report::end(bool interrupted) {
  json["interrupted"] = interrupted;
  write();
}

gradwalk::StateDict Report::state_dict() const {
  gradwalk::StateDict state;
  for (std::size_t k = 0; k < seen_.size(); ++k) {
    const Seen& seen = seen_[k];
    gradwalk::Array touched = gradwalk::empty({seen.touched.size()});
    std::copy(seen.touched.begin(), seen.touched.end(), touched.data());
    add_part(state, parameters_[k].first,
             {{"seen", gradwalk::bits_of_doubles({seen.norms, seen.largest, seen.shares})},
              {"steps", gradwalk::bits_of_counts({seen.steps})},
              {"touched", Tensor(std::move(touched))}});
  }
  for (const auto& [name, values] : more)
    state.emplace_back("more." + name, Tensor(gradwalk::Array(values)));
  return state;
}

void Report::load_state_dict(const std::string& figures, gradwalk::StateValues values) {
  Json read = parse_json<Json>(figures);
  gradwalk::check<gradwalk::FileError>(
      read.is_object() && read["program"] == json["program"] && read["epochs"].is_array(),
      "holds a report that is none of this program");
  gradwalk::StateValues read_more = take_part(values, "more");
  gradwalk::NamedShapes expected;
  std::vector<Seen> all;
  for (const auto& [name, parameter] : parameters_) {
    const auto rows = values.find(name + ".touched");
    const bool none = rows == values.end() || rows->second.size() == 0;
    expected.emplace_back(name + ".seen", gradwalk::Shape{3, 4});
    expected.emplace_back(name + ".steps", gradwalk::Shape{1, 4});
    expected.emplace_back(name + ".touched", gradwalk::Shape{none ? 0 : parameter.shape(0)});
  }
  check_values("the report's", expected, values);
  for (const auto& entry : parameters_) {
    const auto sums = doubles_of("report", values.at(entry.first + ".seen"));
    const auto steps = counts_of("report", values.at(entry.first + ".steps"));
    const gradwalk::Array& touched = values.at(entry.first + ".touched");
    all.push_back(
        {steps[0], sums[0], sums[1], sums[2], std::vector<bool>(touched.begin(), touched.end())});
  }
  json = std::move(read);
  more = std::move(read_more);
  seen_ = std::move(all);
}

// Paths in the configuration may be any bytes; what is not UTF-8 in them is replaced.
std::string Report::dumped(int indent) const {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string Report::figures() const { return dumped(-1); }

void Report::write() const {
  for (const std::string& path : paths_) {
    if (path.empty()) continue;
    if (is_page(path))
      gradwalk::write_page(path, kReportPage, "/*REPORT*/null", dumped(-1));
    else
      gradwalk::write_file(path, dumped(2) + '\n');
  }
}
