// The loops under the ops. In float exp, tanh and their like are our own: here they are measured
// against the standard library's in double, over the whole range of floats.
#include <algorithm>
#include <cstring>
#include <limits>

#include "core/core.hpp"
#include "core/machine/fast_math.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
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

// Every 1021st float of both signs, and all around 0, 1/2, 1, and
// the ends of what exp can give.
std::vector<float> floats_of_every_size() {
  std::vector<float> floats;
  const auto add = [&](std::uint32_t bits) {
    for (std::uint32_t both : {bits, bits | 0x80000000u}) {
      floats.emplace_back();
      std::memcpy(&floats.back(), &both, 4);
    }
  };
  for (std::uint32_t bits = 0; bits < 0x7f800000u; bits += 1021) add(bits);
  for (float around : {0x1p-136f, 0.5f, 1.f, 87.33655f, 88.72284f, 103.97208f}) {
    std::uint32_t bits;
    std::memcpy(&bits, &around, 4);
    for (std::uint32_t b = bits - 8192; b < bits + 8192; ++b) add(b);
  }
  return floats;
}

// The greatest error of f, in units of the last place of the true result; where that is not a
// normal float, in units of `below_normal`.
Worst worst_of(Tensor (*f)(const Tensor&), double (*exact)(double), double below_normal) {
  static const std::vector<float> x = floats_of_every_size();
  Array all = empty({x.size()});
  std::copy(x.begin(), x.end(), all.begin());
  const Tensor ys = f(Tensor(std::move(all)));
  const Real* y = ys.value().data();
  Worst worst;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double truth = exact(x[i]);
    const float rounded = static_cast<float>(truth), size = std::abs(rounded);
    if (std::isinf(y[i]) && y[i] == rounded) continue;
    // flushed: what goes in or comes out is below the normal range, but for rounding; x[0] is 0
    if (y[i] == y[0] && std::abs(x[i]) < 0x1.00001p-126f) continue;
    if (y[i] == 0 && std::min(size, std::abs(x[i])) < 0x1.00001p-126f) continue;
    const double unit =
        size < 0x1p-126f ? below_normal : double(size) - double(std::nextafterf(size, 0.f));
    const double error =
        std::isinf(y[i]) || std::isinf(rounded) ? 1e9 : std::abs(double(y[i]) - truth) / unit;
    if (!(error <= worst.ulp)) worst = {error, x[i]};
  }
  return worst;
}
#endif

}  // namespace

#ifndef GRADWALK_DOUBLE
TEST_CASE("functions in float are as exact as fast_math.hpp says", "[kernels]") {
  const auto log1p_of_size = [](const Tensor& x) {
    Array y = x.value();
    for (Real& v : y) v = kernels::log1p1(std::abs(v));
    return Tensor(std::move(y));
  };
  const auto log_of_size = [](const Tensor& x) { return log(abs(x)); };
  struct Row {
    const char* name;
    double most;
    Tensor (*f)(const Tensor&);
    double (*exact)(double);
    double below_normal;
  };
  for (const Row& row :
       {Row{"exp", 1.2, exp, [](double x) { return std::exp(x); }, 0x1p-149},
        Row{"tanh", 2.6, tanh, [](double x) { return std::tanh(x); }, 0x1p-149},
        // 1 / (1 + e^-x) is 0 as soon as e^-x overflows, where the truth is a subnormal
        Row{"sigmoid", 2.5, sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 0x1p-126},
        Row{"log", 1.2, log_of_size, [](double x) { return std::log(std::abs(x)); }, 0x1p-149},
        Row{"erf", 1.3, erf, [](double x) { return std::erf(x); }, 0x1p-149},
        Row{"log1p", 2.6, log1p_of_size, [](double x) { return std::log1p(std::abs(x)); },
            0x1p-149}}) {
    const Worst worst = worst_of(row.f, row.exact, row.below_normal);
    INFO(row.name << ' ' << worst.ulp << " at " << worst.at);
    CHECK(worst.ulp <= row.most);
  }
}

TEST_CASE("the normal distribution in float", "[kernels]") {
  double above = 0, below = 0,
         density = 0;  // greatest errors: absolute where P > 1/2, else relative
  for (double step = -13; step <= 8; step += 1.0 / 4096) {
    const float x = static_cast<float>(step);
    const auto exact = [](double v) { return std::erfc(-v * std::sqrt(0.5)) / 2; };
    const double p = exact(x), d = std::exp(-0.5 * x * x) / std::sqrt(2 * std::acos(-1.0));
    const kernels::Normal normal = kernels::normal1(x);
    double& worst = x > 0 ? above : below;
    worst = std::max(worst, std::abs(normal.below - p) / (x > 0 ? 1 : p));
    density = std::max(density, std::abs(normal.density / d - 1));
  }
  CHECK(above <= 3 * 0x1p-24);
  CHECK(below <= 5e-6);
  CHECK(density <= 5e-6);
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

TEST_CASE("exp, tanh, sigmoid, log, erf and softplus of zeros, infinities and NaN", "[kernels]") {
  CHECK(kernels::log1(0) == -kInf);
  CHECK(kernels::log1(-Real(0)) == -kInf);
  CHECK(kernels::log1(1) == 0);
  CHECK(kernels::log1(kInf) == kInf);
  for (const Real x : {Real(-1), -kInf, -std::numeric_limits<Real>::denorm_min(), kNan})
    CHECK(std::isnan(kernels::log1(x)));
  CHECK(kernels::erf1(kInf) == 1);
  CHECK(kernels::erf1(-kInf) == -1);
  CHECK(kernels::erf1(0) == 0);
  CHECK(std::isnan(kernels::erf1(kNan)));
  CHECK(kernels::normal1(kInf).below == 1);
  CHECK(kernels::normal1(-kInf).below == 0);
  CHECK(kernels::normal1(-kInf).density == 0);
  CHECK(std::isnan(kernels::normal1(kNan).below));
  CHECK(std::isnan(kernels::normal1(kNan).density));
  CHECK(kernels::softplus1(kInf) == kInf);
  CHECK(kernels::softplus1(-kInf) == 0);
  CHECK(std::isnan(kernels::softplus1(kNan)));
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

TEST_CASE("log softmax of huge, equal and infinite scores", "[kernels]") {
  const std::vector<Real> x{1e30f, 1e30f, 0, -1e30f, 1000, 1000, 1000, 1000, 0, -kInf, 0, -kInf};
  std::vector<Real> y(12);
  kernels::log_softmax(3, 4, 1, x.data(), y.data());
  const double log2 = 0.6931471805599453;
  CHECK_THAT(double(y[0]), WithinRel(-log2, 1e-6));
  CHECK_THAT(double(y[1]), WithinRel(-log2, 1e-6));
  CHECK_THAT(double(y[2]), WithinRel(-1e30, 1e-6));
  CHECK_THAT(double(y[3]), WithinRel(-2e30, 1e-6));
  for (int i = 4; i < 8; ++i) CHECK_THAT(double(y[i]), WithinRel(-2 * log2, 1e-6));
  CHECK_THAT(double(y[8]), WithinRel(-log2, 1e-6));
  CHECK(y[9] == -kInf);
  CHECK(y[11] == -kInf);
  kernels::log_softmax(2, 0, 1, nullptr, nullptr);  // rows of nothing
  const Real nan_row[2] = {kNan, 1};
  kernels::log_softmax(1, 2, 1, nan_row, y.data());
  CHECK(std::isnan(y[0]));
  CHECK(std::isnan(y[1]));
}

TEST_CASE("log softmax of rows of every length, wherever the greatest score is", "[kernels]") {
  for (std::size_t n : {1, 2, 15, 16, 17, 31, 33, 255, 256, 257, 600}) {
    for (std::size_t top : {std::size_t{0}, n / 2, n - 1}) {
      std::vector<Real> x(n), y(n);
      for (std::size_t j = 0; j < n; ++j) x[j] = Real(j % 7) / 2 + (j == top ? 200 : 0);
      x[(top + 1) % n] = x[top] - 1;
      double sum = 0;
      for (Real score : x) sum += std::exp(double(score) - x[top]);
      kernels::log_softmax(1, n, 1, x.data(), y.data());
      for (std::size_t j = 0; j < n; ++j)
        CHECK_THAT(double(y[j]), WithinRel(double(x[j]) - x[top] - std::log(sum), 1e-6));
      x[top] = kNan;
      kernels::log_softmax(1, n, 1, x.data(), y.data());
      CHECK(std::all_of(y.begin(), y.end(), [](Real v) { return std::isnan(v); }));
    }
  }
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

TEST_CASE("sums of many numbers do every element once, for every remainder of the blocks",
          "[kernels]") {
  const std::size_t before = num_threads();
  for (std::size_t threads : {1, 3}) {
    set_num_threads(threads);
    for (std::size_t n :
         {255, 256, 257, 4095, 32767, 32768, 32769, 33000, 65535, 65536, 65552, 65793, 70000}) {
      std::vector<Real> x(n), y(n);
      double sum = 0, dot = 0, squares = 0, distance = 0;  // whole numbers: exact in any order
      for (std::size_t i = 0; i < n; ++i) {
        x[i] = Real(i % 7 + 1);
        y[i] = Real(i % 5) - 5;
        sum += double(x[i]);
        dot += double(x[i]) * y[i];
        squares += double(x[i]) * x[i];
        distance += double(x[i] - y[i]) * (x[i] - y[i]);
      }
      INFO(n);
      CHECK(kernels::sum(n, x.data()) == sum);
      CHECK(kernels::dot(n, x.data(), y.data()) == dot);
      CHECK(kernels::sum_of_squares(n, x.data()) == squares);
      CHECK(kernels::squared_distance(n, x.data(), y.data()) == distance);
      Array p = empty({n}), t = empty({n});
      std::copy_n(x.data(), n, p.data());
      std::copy_n(y.data(), n, t.data());
      CHECK_THAT(double(mse_loss(Tensor(p), Tensor(t)).item()),
                 WithinRel(distance / double(n), 1e-6));
    }
  }
  set_num_threads(before);
}

TEST_CASE("loops that threads share do every element once", "[kernels]") {
  const std::size_t before = num_threads();
  set_num_threads(3);
  const std::size_t n = 20011, width = 9;
  Array x = empty({n});
  for (std::size_t i = 0; i < n; ++i) x(i) = Real(i % 97) / 10 - Real(4.75);  // never 0
  using Op = Tensor (*)(const Tensor&);
  for (const auto& [op, one] : {std::pair<Op, Real (*)(Real)>{exp, kernels::exp1},
                                {tanh, kernels::tanh1},
                                {sigmoid, kernels::sigmoid1}}) {
    const Array y = op(Tensor(x)).value();
    double worst = 0;
    for (std::size_t i = 0; i < n; ++i)
      worst = std::max(worst, std::abs(double(y(i)) / double(one(x(i))) - 1));
    CHECK(worst < 1e-6);
  }
  std::vector<std::int64_t> rows(n);
  for (std::size_t i = 0; i < n; ++i) rows[i] = static_cast<std::int64_t>(i * 7919 % 1000);
  std::vector<Real> out(n * width);
  kernels::gather_rows(n, width, rows.data(), x.data(), out.data());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < width; ++j)
      wrong += out[i * width + j] != x[static_cast<std::size_t>(rows[i]) * width + j];
  }
  CHECK(wrong == 0);
  set_num_threads(before);
}

TEST_CASE("the greatest number is found wherever it stands, and so is a NaN", "[kernels]") {
  CHECK(kernels::max(0, nullptr) == -kInf);
  for (std::size_t n : {1, 2, 3, 4, 5, 15, 16, 17, 33, 64, 71}) {
    for (std::size_t top = 0; top < n; ++top) {
      std::vector<Real> x(n, -5);
      x[top] = -1;
      CHECK(kernels::max(n, x.data()) == -1);
      x[top] = kNan;
      CHECK(std::isnan(kernels::max(n, x.data())));
    }
  }
}

TEST_CASE("a sum of squares does not overflow a float", "[kernels]") {
  const std::vector<Real> x(3, Real(1e30));
  CHECK_THAT(kernels::sum_of_squares(3, x.data()), WithinRel(3e60, 1e-6));
}

TEST_CASE("rows are gathered, scattered and repeated", "[kernels]") {
  using Numbers = std::vector<Real>;
  const Numbers table{1, 2, 3, 4, 5, 6};
  const std::int64_t rows[] = {2, 0, 2};
  Numbers out(6);
  kernels::gather_rows(3, 2, rows, table.data(), out.data());
  CHECK(out == Numbers{5, 6, 1, 2, 5, 6});
  Numbers sums{100, 0, 0, 0, 0, 0};
  kernels::scatter_add_rows(3, 2, rows, table.data(), sums.data());
  CHECK(sums == Numbers{103, 4, 0, 0, 6, 8});
  kernels::broadcast_row(3, 2, table.data(), out.data());
  CHECK(out == Numbers{1, 2, 1, 2, 1, 2});
  kernels::transpose(3, 2, table.data(), 2, out.data(), 3);
  CHECK(out == Numbers{1, 3, 5, 2, 4, 6});
  Numbers large(33 * 17), turned(33 * 17);
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = Real(i);
  kernels::transpose(33, 17, large.data(), 17, turned.data(), 33);
  for (std::size_t i = 0; i < 33; ++i) {
    for (std::size_t j = 0; j < 17; ++j) CHECK(turned[j * 33 + i] == large[i * 17 + j]);
  }
  Numbers row{10, 20};
  kernels::add(2, table.data(), row.data());
  CHECK(row == Numbers{11, 22});
  kernels::scale(2, Real(0.5), row.data());
  CHECK(row == Numbers{5.5, 11});
  kernels::add_scaled(2, Real(3), table.data(), row.data());
  CHECK(row == Numbers{8.5, 17});
}
