#include "examples/course/checks/check.hpp"

#include <cmath>
#include <cstdio>
#include <exception>

#include "core/ops/broadcast.hpp"
#include "examples/course/todo.hpp"

namespace course {
namespace {

struct Wrong : std::runtime_error {
  using runtime_error::runtime_error;
};

int comparisons = 0;

bool near(Real got, Real expected) {  // NaN is near nothing
  return std::abs(got - expected) <= 1e-9 * std::max(Real(1), std::abs(expected));
}

bool agree(const Array& a, const Array& b) {
  return a.shape() == b.shape() && std::equal(a.begin(), a.end(), b.begin(), near);
}

Array transposed(const Array& x) { return transpose(Tensor(x)).value(); }

// y[n, ...] = x[n + by, ...]; what comes in at the end is `x`'s own other end
Array shifted(const Array& x, std::ptrdiff_t by) {
  Array y = x;
  const std::size_t rows = x.shape()[0], width = x.size() / rows;
  const std::size_t step = static_cast<std::size_t>(by + static_cast<std::ptrdiff_t>(rows));
  for (std::size_t n = 0; n < rows; ++n)
    std::copy_n(x.data() + (n + step) % rows * width, width, y.data() + n * width);
  return y;
}

// All rows but the one that a shift brings in from the other end.
bool is_shifted(const Array& got, const Array& expected, std::ptrdiff_t by) {
  const std::size_t rows = got.shape()[0], width = got.size() / rows;
  const Array y = shifted(expected, by);
  const Real *first = got.data() + (by < 0 ? width : 0), *last = first + (rows - 1) * width;
  return std::equal(first, last, y.data() + (by < 0 ? width : 0), near);
}

// got = c * expected: c, or 0 where there is no such c
double ratio(const Array& got, const Array& expected) {
  std::size_t i = 0;
  while (i < expected.size() && std::abs(expected.data()[i]) < 1e-6) ++i;
  if (i == expected.size()) return 0;
  const Real c = got.data()[i] / expected.data()[i];
  for (i = 0; i < got.size(); ++i) {
    if (!near(got.data()[i], c * expected.data()[i])) return 0;
  }
  return c;
}

std::string shown(Real x, int digits) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out.precision(digits);
  std::isnan(x) ? out << "NaN" : out << x;
  return out.str();
}

// With more digits where six would show the same number twice.
std::string both(Real expected, Real got) {
  const int digits = shown(expected, 6) == shown(got, 6) ? 15 : 6;
  return "expected " + shown(expected, digits) + ", got " + shown(got, digits);
}

// Is `wide` what an array of shape `narrow` broadcasts to?
bool broadcasts(const Shape& narrow, const Shape& wide) {
  if (narrow.size() > wide.size()) return false;
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    const std::size_t n = narrow[narrow.size() - 1 - i];
    if (n != 1 && n != wide[wide.size() - 1 - i]) return false;
  }
  return true;
}

std::string diagnose(const Array& got, const Array& expected, const Mistakes& mistakes) {
  for (const Mistake& m : mistakes) {
    if (agree(got, m.answer)) return m.says;
  }
  const Shape &g = got.shape(), &e = expected.shape();
  if (g != e) {
    if (g.size() == 2 && e.size() == 2 && g[0] == e[1] && g[1] == e[0])
      return agree(transposed(got), expected) ? "Transposed: rows and columns are exchanged."
                                              : "The shape is transposed.";
    if (got.size() == expected.size()) return "As many numbers as expected, in another shape.";
    if (got.size() == 1) return "One number: everything was added up.";
    return broadcasts(e, g) ? "The sum to the smaller shape is missing." : "";
  }
  std::size_t nans = 0, zeros = 0, right = 0, close = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    nans += std::isnan(got.data()[i]);
    zeros += got.data()[i] == 0;
    right += near(got.data()[i], expected.data()[i]);
    close += std::abs(got.data()[i] - expected.data()[i]) <= 1e-3 * std::abs(expected.data()[i]);
  }
  if (nans > 0)
    return message(nans, " of ", got.size(),
                   " numbers are NaN. empty() leaves them unwritten, and 0 / 0 makes them.");
  if (zeros == got.size()) return "All numbers are 0: nothing was added up, or it went nowhere.";
  if (close == got.size())
    return "Close, but not the same: something small is added, left out or rounded.";
  const double c = ratio(got, expected);
  if (c == 2) return "Twice as large everywhere: one path is counted twice.";
  if (c == -1) return "The wrong sign everywhere.";
  if (c != 0) {
    return near(1 / c, std::round(1 / c)) && c > 0
               ? message(std::round(1 / c), " times too small everywhere.")
               : message(c, " times as large everywhere.");
  }
  if (g.size() == 2 && g[0] == g[1] && agree(transposed(got), expected))
    return "Transposed: rows and columns are exchanged.";
  if (g.size() >= 1 && g[0] > 2) {
    for (int by : {1, -1}) {
      if (is_shifted(got, expected, by)) return "Off by one row.";
    }
  }
  if (right > 0 && got.size() > 1) return message(right, " of ", got.size(), " numbers are right.");
  return "";
}

}  // namespace

void wrong(const std::string& what, const std::string& says) {
  throw Wrong("wrong: " + what + (says.empty() ? "" : "\n  " + says));
}

Array number(double x) { return full({}, static_cast<Real>(x)); }

void same(const std::string& what, const Array& got, const Array& expected,
          const Mistakes& mistakes) {
  ++comparisons;
  if (agree(got, expected)) return;
  const std::string says = diagnose(got, expected, mistakes);
  if (got.shape() != expected.shape()) {
    wrong(message(what, "\n  shape: expected ", expected.shape(), ", got ", got.shape()), says);
  }
  std::size_t i = 0;
  while (near(got.data()[i], expected.data()[i])) ++i;
  const std::string at = got.dimension() == 0 ? "" : message("at ", index_of(i, got.shape()), ": ");
  wrong(what + "\n  " + at + both(expected.data()[i], got.data()[i]), says);
}

void same(const std::string& what, double got, double expected, const Mistakes& mistakes) {
  same(what, number(got), number(expected), mistakes);
}

void same(const std::string& what, const Gradient& got, const Array& expected,
          const Mistakes& mistakes) {
  if (std::holds_alternative<std::monostate>(got)) wrong(what, "There is no gradient.");
  same(what, dense(got).value(), expected, mistakes);
}

void same(const std::string& what, const std::string& got, const std::string& expected,
          const std::string& says) {
  ++comparisons;
  if (got != expected) wrong(what + "\n  expected " + expected + ", got " + got, says);
}

void derivatives(const std::string& what, const std::function<Tensor(const Tensors&)>& f,
                 const std::vector<Array>& inputs) {
  ++comparisons;
  try {
    check_gradients(f, inputs);
  } catch (const std::runtime_error& e) {
    wrong(message("the derivatives of ", what, "\n  ", e.what()),
          "Values are right, derivatives are not. Has the graph been cut, by value() or detach()?");
  }
}

}  // namespace course

int main() {  // the verdict begins a line, whatever the learner has printed before it
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a crash loses nothing that was printed
  try {
    course::check_exercise();
  } catch (const Todo& e) {
    std::printf("\nto do: %s\n", e.what());
    return 1;
  } catch (const course::Wrong& e) {
    std::printf("\n%s\n", e.what());
    return 1;
  } catch (const std::exception& e) {
    std::printf("\nexception: %s\n", e.what());
    return 1;
  } catch (...) {
    std::printf("\nexception: of a type that is no std::exception\n");
    return 1;
  }
  if (course::comparisons == 0) return std::puts("\nwrong: nothing was compared"), 1;
  std::printf("\npassed: %d comparisons\n", course::comparisons);
}
