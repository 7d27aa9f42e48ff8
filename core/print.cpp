#include "core/print.hpp"

#include <cmath>
#include <iomanip>

#include "core/error.hpp"

namespace gradwalk {
namespace {

constexpr std::size_t kLong = 1000, kEdge = 3, kColumns = 80;

// The part of an array that is printed: its brackets, with put(place) for each number.
template <class F>
void write(std::ostream& out, const Shape& shape, std::size_t width, F put, std::size_t axis = 0,
           std::size_t at = 0) {
  if (axis == shape.size()) return put(at);
  const std::size_t n = shape[axis], block = size_of({shape.begin() + axis + 1, shape.end()});
  const std::size_t deeper = shape.size() - axis - 1;  // axes inside this one
  const std::size_t per_line = deeper > 0 ? 1 : std::max<std::size_t>(1, kColumns / (width + 2));
  const std::size_t gap = size_of(shape) > kLong && n > 2 * kEdge ? n - 2 * kEdge : 0;
  out << '[';
  for (std::size_t i = 0, item = 0; i < n; ++i, ++item) {
    if (item > 0) out << ',';
    if (item > 0 && item % per_line != 0) out << ' ';
    if (item > 0 && item % per_line == 0)
      out << std::string(std::max<std::size_t>(1, deeper), '\n') << std::string(axis + 1, ' ');
    if (gap > 0 && item == kEdge) {
      out << "...";
      i += gap - 1;
    } else {
      write(out, shape, width, put, axis + 1, at + i * block);
    }
  }
  out << ']';
}

template <class A>
std::string numbers(const A& a) {
  std::ostringstream out;
  out.imbue(std::locale::classic());  // 0.5 is not 0,5 anywhere
  if (a.size() == 0) return "[]";
  std::vector<std::size_t> places;
  write(out, a.shape(), 1, [&](std::size_t at) { places.push_back(at); });

  // Whole numbers without decimals, others with four; powers of ten if they are far apart.
  bool whole = true;
  double least = 1, greatest = 1;
  for (std::size_t at : places) {
    const double size = std::abs(static_cast<double>(a.data()[at]));
    if (!std::isfinite(size) || size == 0) continue;
    whole = whole && size == std::floor(size);
    least = std::min(least, size);
    greatest = std::max(greatest, size);
  }
  const bool powers = greatest >= 1e8 || least < 1e-4 || (!whole && greatest >= 1e5);
  out << (powers ? std::scientific : std::fixed) << std::setprecision(whole && !powers ? 0 : 4);

  std::size_t width = 0;
  std::vector<std::string> texts;
  for (std::size_t at : places) {
    out.str("");
    out << a.data()[at];
    texts.push_back(out.str());
    width = std::max(width, texts.back().size());
  }
  out.str("");
  auto next = texts.begin();
  write(out, a.shape(), width, [&](std::size_t) { out << std::setw(width) << *next++; });
  return out.str();
}

template <class A>
std::string with_shape(const A& a) {
  const bool in_full = 0 < a.size() && a.size() <= kLong;
  return numbers(a) + (in_full ? "" : message("  ", a.shape()));
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Array& a) { return out << with_shape(a); }

std::ostream& operator<<(std::ostream& out, const ArrayOf<std::int64_t>& ids) {
  return out << with_shape(ids);
}

std::ostream& operator<<(std::ostream& out, const Tensor& t) {
  if (!t.defined()) return out << "undefined tensor";
  const std::string op = t.node()->op;
  return out << numbers(t.value()) << "  " << (op == "leaf" ? "" : op + ' ') << message(t.shape())
             << (t.requires_grad() ? " requires_grad" : "");
}

std::ostream& operator<<(std::ostream& out, const Gradient& g) {
  if (std::holds_alternative<std::monostate>(g)) return out << "none";
  if (auto* rows = std::get_if<RowSparse>(&g))
    return out << "rows " << *rows->rows << " of " << message(rows->num_rows) << '\n'
               << rows->values;
  if (auto* outputs = std::get_if<Tensors>(&g)) {
    for (const Tensor& t : *outputs) out << t << '\n';
    return out;
  }
  const NoGrad guard;
  return out << dense(g);
}

}  // namespace gradwalk
