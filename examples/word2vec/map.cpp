#include "examples/word2vec/map.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/core.hpp"
#include "examples/text.hpp"

using gradwalk::Array;
using gradwalk::Real;
using gradwalk::Tensor;

namespace {

constexpr double kWidth = 1200, kHeight = 900, kMargin = 60;
constexpr double kLineHeight = 14, kLetterWidth = 7.2;  // of the labels, generously

constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#008860", "#aa4499",
                                    "#8a6d00", "#000000", "#3399cc", "#882255"};
const char* colour(std::size_t group) { return kColours[group % std::size(kColours)]; }

double text_width(const std::string& word) {
  return kLetterWidth * static_cast<double>(characters(word).size());
}

struct Point {
  double x, y;
};

// Places [N, 2] on the sheet; one scale for both axes, so that distances can be compared.
std::vector<Point> fit(const Array& places) {
  const std::size_t N = places.shape()[0];
  double middle[2], scale = 1e30;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    double low = places(0, axis), high = low;
    for (std::size_t n = 1; n < N; ++n) {
      low = std::min(low, double(places(n, axis)));
      high = std::max(high, double(places(n, axis)));
    }
    middle[axis] = (low + high) / 2;
    const double room = (axis == 0 ? kWidth : kHeight) - 2 * kMargin;
    scale = std::min(scale, room / std::max(high - low, 1e-9));
  }
  std::vector<Point> points;
  for (std::size_t n = 0; n < N; ++n) {
    points.push_back({kWidth / 2 + scale * (double(places(n, 0)) - middle[0]),
                      kHeight / 2 + scale * (double(places(n, 1)) - middle[1])});
  }
  return points;
}

struct Box {
  double left, top, right, bottom;
};

bool overlap(const Box& a, const Box& b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

// A label beside a point that covers nothing: on the right or the left, at its height or as few
// lines above or below as can be.
Box place_label(const Point& point, double width, const std::vector<Box>& taken) {
  const auto [x, y] = point;
  constexpr double kGap = 5;
  const auto box_at = [width](double left, double middle) {
    return Box{left, middle - kLineHeight / 2, left + width, middle + kLineHeight / 2};
  };
  for (double dy = 0; dy < kHeight; dy += kLineHeight) {
    for (double middle : {y + dy, y - dy}) {
      for (double left : {x + kGap, x - kGap - width}) {
        const Box box = box_at(left, middle);
        const bool inside =
            box.left >= 0 && box.right <= kWidth && box.top >= 0 && box.bottom <= kHeight;
        if (inside && std::none_of(taken.begin(), taken.end(),
                                   [&](const Box& other) { return overlap(box, other); })) {
          return box;
        }
      }
    }
  }
  return box_at(x + kGap, y);  // the map is full
}

Tensor centred(const Array& x) {
  const Tensor all(x);
  return all - mean(all, {0}, true);
}

}  // namespace

Array principal_axes(const Array& x) {
  const gradwalk::NoGrad no_grad;
  const Tensor all = centred(x);
  const Tensor scatter = matmul(all, all, true);  // [D, D]
  const std::size_t D = x.shape()[1];
  // Power iteration: multiplied again and again by the matrix, a vector turns towards the
  // direction in which that is longest.
  gradwalk::Generator generator(1);
  Tensor first(gradwalk::full({D, 1}, 0)), second;
  for (Tensor* c : {&first, &second}) {
    Tensor v(normal({D, 1}, generator));
    for (int i = 0; i < 1000; ++i) {
      v = matmul(scatter, v);
      if (c == &second) v = v - first * sum(first * v);
      v = v / (sqrt(sum(v * v)) + Real(1e-30));  // no division by 0 where all rows are equal
    }
    *c = v;
  }
  return gradwalk::concat({first, second}, 1).value();
}

Array project(const Array& x, const Array& axes) {
  const gradwalk::NoGrad no_grad;
  return matmul(centred(x), Tensor(axes)).value();
}

std::string svg_map(const Array& places, const std::vector<std::string>& words,
                    const std::vector<std::size_t>& group_of,
                    const std::vector<std::string>& group_names) {
  const std::vector<Point> points = fit(places);
  std::ostringstream svg;
  svg.imbue(std::locale::classic());  // coordinates have a point anywhere
  svg << std::fixed;
  svg.precision(1);
  const auto write = [&](double x, double y, bool ends_there, const std::string& text,
                         std::size_t group) {
    svg << "<text x=\"" << x << "\" y=\"" << y + 4 << "\" fill=\"" << colour(group)
        << (ends_there ? "\" text-anchor=\"end" : "") << "\">" << xml_escaped(text) << "</text>\n";
  };
  svg << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << kWidth << "\" height=\"" << kHeight
      << "\" font-family=\"sans-serif\" font-size=\"12\">\n"
      << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  std::vector<Box> taken;
  for (std::size_t g = 0; g < group_names.size(); ++g) {
    const double y = kLineHeight * static_cast<double>(1 + g);
    taken.push_back({0, y - kLineHeight, 10 + text_width(group_names[g]), y + kLineHeight});
    write(10, y, false, group_names[g], g);
  }
  for (std::size_t n = 0; n < words.size(); ++n) {
    const auto [x, y] = points[n];
    taken.push_back({x - 3, y - 3, x + 3, y + 3});
    svg << "<circle cx=\"" << x << "\" cy=\"" << y << "\" r=\"3\" fill=\"" << colour(group_of[n])
        << "\"/>\n";
  }
  for (std::size_t n = 0; n < words.size(); ++n) {
    const auto [x, y] = points[n];
    const Box box = place_label(points[n], text_width(words[n]), taken);
    taken.push_back(box);
    const bool on_the_left = box.left < x;
    const double edge = on_the_left ? box.right : box.left, middle = (box.top + box.bottom) / 2;
    if (std::abs(middle - y) > 1) {
      svg << "<path d=\"M" << x << ' ' << y << " L" << edge << ' ' << middle << "\" stroke=\""
          << colour(group_of[n]) << "\" stroke-width=\"0.4\"/>\n";
    }
    write(edge, middle, on_the_left, words[n], group_of[n]);
  }
  svg << "</svg>\n";
  return svg.str();
}
