#include "examples/report.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/file.hpp"
#include "core/gradient.hpp"
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
  write();
}

void Report::end(bool interrupted) {
  json["interrupted"] = interrupted;
  write();
}

void Report::write() const {
  // Paths in the configuration may be any bytes; what is not UTF-8 in them is replaced.
  const auto dumped = [this](int indent) {
    return json.dump(indent, ' ', false, Json::error_handler_t::replace);
  };
  for (const std::string& path : paths_) {
    if (path.empty()) continue;
    if (is_page(path))
      gradwalk::write_page(path, kReportPage, "/*REPORT*/null", dumped(-1));
    else
      gradwalk::write_file(path, dumped(2) + '\n');
  }
}
