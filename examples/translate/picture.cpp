#include "examples/translate/picture.hpp"

#include <algorithm>
#include <sstream>

#include "examples/text.hpp"

namespace translate {
namespace {

constexpr double kCell = 30, kGap = 8, kLetterWidth = 9;

double text_width(const std::vector<std::string>& tokens) {
  std::size_t most = 0;
  for (const std::string& token : tokens) most = std::max(most, characters(token).size());
  return kLetterWidth * static_cast<double>(most);
}

}  // namespace

std::string svg_attention(const gradwalk::Array& weights, const std::vector<std::string>& input,
                          const std::vector<std::string>& output) {
  // The grid's upper left corner: input tokens stand upright above it, output tokens left of it.
  const double left = text_width(output) + 2 * kGap, top = text_width(input) + 2 * kGap;
  const double width = left + kCell * static_cast<double>(input.size()) + kGap,
               height = top + kCell * static_cast<double>(output.size()) + kGap;
  std::ostringstream svg;
  svg.imbue(std::locale::classic());  // coordinates have a point anywhere
  svg << std::fixed;
  svg.precision(2);
  svg << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height
      << "\" font-family=\"sans-serif\" font-size=\"14\">\n"
      << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (std::size_t t = 0; t < input.size(); ++t) {
    const double x = left + kCell * (static_cast<double>(t) + 0.5) + 5, y = top - kGap;
    svg << "<text x=\"" << x << "\" y=\"" << y << "\" transform=\"rotate(-90 " << x << ' ' << y
        << ")\">" << xml_escaped(input[t]) << "</text>\n";
  }
  for (std::size_t u = 0; u < output.size(); ++u) {
    const double y = top + kCell * static_cast<double>(u);
    svg << "<text x=\"" << left - kGap << "\" y=\"" << y + kCell / 2 + 5
        << "\" text-anchor=\"end\">" << xml_escaped(output[u]) << "</text>\n";
    for (std::size_t t = 0; t < input.size(); ++t) {
      svg << "<rect x=\"" << left + kCell * static_cast<double>(t) << "\" y=\"" << y
          << "\" width=\"" << kCell << "\" height=\"" << kCell
          << "\" stroke=\"#cccccc\" fill=\"#0072b2\" fill-opacity=\"" << double(weights(u, t))
          << "\"/>\n";
    }
  }
  svg << "</svg>\n";
  return svg.str();
}

}  // namespace translate
