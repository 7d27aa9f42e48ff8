// The loops under the ops. In float exp, tanh and sigmoid are our own: here they are measured
// against the standard library's in double, over the whole range of floats.
#include <cstring>
#include <limits>

#include "core/core.hpp"
#include "core/kernels.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

constexpr Real kInf = std::numeric_limits<Real>::infinity();
constexpr Real kNan = std::numeric_limits<Real>::quiet_NaN();

#ifndef GRADWALK_DOUBLE
struct Worst {
  double ulp = 0;
  float at = 0;
};

// The greatest error of f, in units of the last place of the true result, over every `stride`th
// float of both signs; where the true result is not a normal float, in units of `below_normal`.
template <class F, class G>
Worst worst_of(F f, G exact, double below_normal) {
  constexpr std::uint32_t stride = 1001;
  Worst worst;
  for (std::uint32_t bits = 0; bits < 0x7f800000u; bits += stride) {
    for (std::uint32_t sign : {0u, 0x80000000u}) {
      const std::uint32_t both = bits | sign;
      float x;
      std::memcpy(&x, &both, 4);
      const double truth = exact(double(x));
      const float got = f(x), rounded = static_cast<float>(truth);
      if (got == rounded) continue;  // both infinite, too
      const float size = std::abs(rounded);
      const double unit = std::isinf(rounded) ? 0x1p104
                          : size < 0x1p-126f  ? below_normal
                                              : double(size) - double(std::nextafterf(size, 0.f));
      const double error =
          std::isinf(got) || std::isinf(rounded) ? 1e9 : std::abs(double(got) - truth) / unit;
      if (!(error <= worst.ulp)) worst = {error, x};
    }
  }
  return worst;
}
#endif

}  // namespace

#ifndef GRADWALK_DOUBLE
TEST_CASE("exp, tanh and sigmoid are within 3 units of the last place in float", "[kernels]") {
  const Worst e = worst_of(
      kernels::exp1, [](double x) { return std::exp(x); }, 0x1p-149);
  INFO("exp " << e.ulp << " at " << e.at);
  CHECK(e.ulp <= 3);
  const Worst t = worst_of(
      kernels::tanh1, [](double x) { return std::tanh(x); }, 0x1p-149);
  INFO("tanh " << t.ulp << " at " << t.at);
  CHECK(t.ulp <= 3);
  // 1 / (1 + e^-x) is 0 as soon as e^-x overflows, where the truth is a subnormal
  const Worst s = worst_of(
      kernels::sigmoid1, [](double x) { return 1 / (1 + std::exp(-x)); }, 0x1p-126);
  INFO("sigmoid " << s.ulp << " at " << s.at);
  CHECK(s.ulp <= 3);
}

TEST_CASE("float exp at the ends of its range", "[kernels]") {
  CHECK(kernels::exp1(88.72283f) < kInf);
  CHECK(kernels::exp1(88.72283f) > 3.4e38f);
  CHECK(kernels::exp1(88.8f) == kInf);
  CHECK(kernels::exp1(-87.4f) > 0);
  CHECK(std::fpclassify(kernels::exp1(-100.f)) == FP_SUBNORMAL);
  CHECK(kernels::exp1(-104.f) == 0);
}
#endif

TEST_CASE("exp, tanh and sigmoid of zeros, infinities and NaN", "[kernels]") {
  CHECK(kernels::exp1(0) == 1);
  CHECK(kernels::exp1(kInf) == kInf);
  CHECK(kernels::exp1(-kInf) == 0);
  CHECK(std::isnan(kernels::exp1(kNan)));
  CHECK(std::isnan(kernels::exp1(-kNan)));
  CHECK(kernels::exp1(std::numeric_limits<Real>::max()) == kInf);
  CHECK(kernels::exp1(std::numeric_limits<Real>::lowest()) == 0);
  CHECK(kernels::tanh1(kInf) == 1);
  CHECK(kernels::tanh1(-kInf) == -1);
  CHECK(kernels::tanh1(0) == 0);
  CHECK(std::isnan(kernels::tanh1(kNan)));
  const Real tiny = std::numeric_limits<Real>::denorm_min();
  CHECK(kernels::tanh1(tiny) == tiny);
  CHECK(kernels::tanh1(-tiny) == -tiny);
  CHECK(kernels::sigmoid1(kInf) == 1);
  CHECK(kernels::sigmoid1(-kInf) == 0);
  CHECK(kernels::sigmoid1(0) == Real(0.5));
  CHECK(kernels::sigmoid1(tiny) == Real(0.5));
  CHECK(std::isnan(kernels::sigmoid1(kNan)));
}

TEST_CASE("the loops over exp, tanh and sigmoid do every element, in place too", "[kernels]") {
  for (std::size_t n : {0, 1, 7, 33}) {
    std::vector<Real> x(n), y(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = Real(0.3) * Real(i) - 4;
    const auto close = [&](const std::vector<Real>& got, Real (*f)(Real)) {
      // vectorised loops may fuse a multiplication and an addition
      for (std::size_t i = 0; i < n; ++i)
        CHECK_THAT(double(got[i]),
                   WithinRel(double(f(x[i])), 1e-6) || WithinAbs(double(f(x[i])), 1e-7));
    };
    kernels::exp(n, x.data(), y.data());
    close(y, kernels::exp1);
    kernels::tanh(n, x.data(), y.data());
    close(y, kernels::tanh1);
    kernels::sigmoid(n, x.data(), y.data());
    close(y, kernels::sigmoid1);
    y = x;
    kernels::exp(n, y.data(), y.data());
    close(y, kernels::exp1);
  }
}

TEST_CASE("log softmax of huge, equal and infinite scores", "[kernels]") {
  const std::vector<Real> x{1e30f, 1e30f, 0, -1e30f, 1000, 1000, 1000, 1000, 0, -kInf, 0, -kInf};
  std::vector<Real> y(12);
  kernels::log_softmax_rows(3, 4, x.data(), y.data());
  const double log2 = 0.6931471805599453;
  CHECK_THAT(double(y[0]), WithinRel(-log2, 1e-6));
  CHECK_THAT(double(y[1]), WithinRel(-log2, 1e-6));
  CHECK_THAT(double(y[2]), WithinRel(-1e30, 1e-6));
  CHECK_THAT(double(y[3]), WithinRel(-2e30, 1e-6));
  for (int i = 4; i < 8; ++i) CHECK_THAT(double(y[i]), WithinRel(-2 * log2, 1e-6));
  CHECK_THAT(double(y[8]), WithinRel(-log2, 1e-6));
  CHECK(y[9] == -kInf);
  CHECK(y[11] == -kInf);
  kernels::log_softmax_rows(2, 0, nullptr, nullptr);  // rows of nothing
  const Real nan_row[2] = {kNan, 1};
  kernels::log_softmax_rows(1, 2, nan_row, y.data());
  CHECK(std::isnan(y[0]));
  CHECK(std::isnan(y[1]));
}

TEST_CASE("sums do every element once, for every remainder of the lanes", "[kernels]") {
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<Real> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = Real(i + 1);
    CHECK(kernels::sum(n, x.data()) == Real(n * (n + 1) / 2));
    CHECK(kernels::sum_of_squares(n, x.data()) == double(n * (n + 1) * (2 * n + 1) / 6));
    const std::vector<Real> y(n, 2);
    CHECK(kernels::dot(n, x.data(), y.data()) == Real(n * (n + 1)));
  }
}

TEST_CASE("a sum of squares does not overflow a float", "[kernels]") {
  const std::vector<Real> x(3, Real(1e30));
  CHECK_THAT(kernels::sum_of_squares(3, x.data()), WithinRel(3e60, 1e-6));
}

TEST_CASE("rows are gathered, scattered, repeated and summed", "[kernels]") {
  using Numbers = std::vector<Real>;
  const Numbers table{1, 2, 3, 4, 5, 6};
  const std::int64_t rows[] = {2, 0, 2};
  Numbers out(6);
  kernels::gather_rows(3, 2, rows, table.data(), out.data());
  CHECK(out == Numbers{5, 6, 1, 2, 5, 6});
  Numbers sums{100, 0, 0, 0, 0, 0};
  kernels::scatter_add_rows(3, 2, rows, table.data(), sums.data());
  CHECK(sums == Numbers{103, 4, 0, 0, 6, 8});
  kernels::repeat_row(3, 2, table.data(), out.data());
  CHECK(out == Numbers{1, 2, 1, 2, 1, 2});
  Numbers row{10, 20};
  kernels::add_column_sums(3, 2, table.data(), row.data());
  CHECK(row == Numbers{19, 32});
  kernels::add(2, table.data(), row.data());
  CHECK(row == Numbers{20, 34});
  kernels::scale(2, Real(0.5), row.data());
  CHECK(row == Numbers{10, 17});
  kernels::add_scaled(2, Real(3), table.data(), row.data());
  CHECK(row == Numbers{13, 23});
}
