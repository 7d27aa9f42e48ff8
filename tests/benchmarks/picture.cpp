#include "tests/benchmarks/picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace {

constexpr double kWidth = 960, kMargin = 40, kBar = 24;
constexpr double kLabels = 270, kFigures = 190, kBars = kWidth - kLabels - kFigures - 2 * kMargin;
constexpr double kPanel = (kWidth - 3 * kMargin) / 2, kPanelHeight = 220;
constexpr const char *kOurs = "#0072b2", *kLibtorch = "#d55e00", *kInk = "#333333";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

void text(std::ostream& out, double x, double y, const std::string& what,
          const std::string& more = "") {
  out << "<text x=\"" << x << "\" y=\"" << y << "\" " << more << ">" << escaped(what)
      << "</text>\n";
}

void line(std::ostream& out, double x1, double y1, double x2, double y2, const char* colour,
          double width) {
  out << "<line x1=\"" << x1 << "\" y1=\"" << y1 << "\" x2=\"" << x2 << "\" y2=\"" << y2
      << "\" stroke=\"" << colour << "\" stroke-width=\"" << width << "\"/>\n";
}

// Returns where the bars end.
double draw_bars(std::ostream& out, double y, const std::vector<Bar>& bars) {
  double longest = 1;
  for (const Bar& bar : bars)
    if (bar.libtorch > 0) longest = std::max(longest, bar.ours / bar.libtorch);
  const double left = kMargin + kLabels, one = kBars / longest, top = y;
  for (const Bar& bar : bars) {
    const double whole = bar.libtorch > 0 ? bar.libtorch : bar.ours;
    text(out, left - 8, y + kBar / 2 + 4, bar.label, "text-anchor=\"end\"");
    out << "<rect x=\"" << left << "\" y=\"" << y + 4 << "\" width=\"" << one * bar.ours / whole
        << "\" height=\"" << kBar - 8 << "\" fill=\"" << kOurs << "\"/>\n";
    if (bar.floor > 0)
      line(out, left + one * bar.floor / whole, y + 1, left + one * bar.floor / whole, y + kBar - 1,
           "#000000", 3);
    text(out, left + kBars + 12, y + kBar / 2 + 4,
         number(bar.ours) + " ms" +
             (bar.libtorch > 0 ? ", " + number(bar.ours / whole) + " of libtorch" : ""));
    y += kBar;
  }
  if (std::any_of(bars.begin(), bars.end(), [](const Bar& bar) { return bar.libtorch > 0; })) {
    line(out, left + one, top, left + one, y, kLibtorch, 2);
  }
  return y;
}

// Both axes logarithmic: a step that does not depend on the size is a level line, one in proportion
// to it rises by as many doublings as the size.
void draw_curve(std::ostream& out, double left, double top, const Curve& curve) {
  std::vector<double> all = curve.ours;
  all.insert(all.end(), curve.libtorch.begin(), curve.libtorch.end());
  const double low = *std::min_element(all.begin(), all.end()) / 1.5,
               high = *std::max_element(all.begin(), all.end()) * 1.5;
  const auto share = [](double value, double from, double to) {
    return std::log(value / from) / std::log(to / from);
  };
  const double x0 = left + 20, width = kPanel - 40;
  const auto x = [&](double size) {
    return x0 + width * share(size, curve.at.front(), curve.at.back());
  };
  const auto y = [&](double ms) { return top + kPanelHeight * (1 - share(ms, low, high)); };
  line(out, left, top + kPanelHeight, left + kPanel, top + kPanelHeight, kInk, 1);
  text(out, left, top - 4, "ms of a step against " + curve.size, "font-weight=\"bold\"");
  for (const double size : curve.at)
    text(out, x(size), top + kPanelHeight + 16, std::to_string(std::lround(size)),
         "text-anchor=\"middle\"");
  const auto draw = [&](const std::vector<double>& times, const char* colour, double above) {
    std::ostringstream points;
    for (std::size_t k = 0; k < times.size(); ++k) {
      points << x(curve.at[k]) << "," << y(times[k]) << " ";
      text(out, x(curve.at[k]), y(times[k]) + above, number(times[k]),
           std::string("text-anchor=\"middle\" fill=\"") + colour + "\"");
    }
    out << "<polyline points=\"" << points.str() << "\" fill=\"none\" stroke=\"" << colour
        << "\" stroke-width=\"2\"/>\n";
  };
  draw(curve.libtorch, kLibtorch, -6);
  draw(curve.ours, kOurs, 16);
}

}  // namespace

std::string number(double value) {
  if (!(value > 0)) return "-";
  char text[32];
  const int decimals = 2 - static_cast<int>(std::floor(std::log10(value)));
  std::snprintf(text, sizeof text, "%.*f", std::max(decimals, 0), value);
  return text;
}

void write_svg(const std::string& path, const std::string& machine, const std::vector<Bar>& bars,
               const std::vector<Curve>& curves) {
  std::ostringstream body;
  text(body, kMargin, 34, "A step in gradwalk and in libtorch",
       "font-size=\"18\" font-weight=\"bold\"");
  text(body, kMargin, 54,
       machine + ". Blue: gradwalk; orange: libtorch; black: the floor; t: threads.");
  double y = draw_bars(body, 70, bars) + 20;
  for (std::size_t k = 0; k < curves.size(); ++k) {
    draw_curve(body, kMargin + static_cast<double>(k % 2) * (kPanel + kMargin), y + 10, curves[k]);
    if (k % 2 == 1 || k + 1 == curves.size()) y += kPanelHeight + 60;
  }
  std::ofstream out(path);
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << kWidth << "\" height=\"" << y
      << "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"" << kInk << "\">\n"
      << "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
      << body.str() << "</svg>\n";
  if (!out.flush()) throw std::runtime_error(path + ": cannot be written");
}
