// The generator's numbers are the same on every machine, and distributed as they say.
#include <algorithm>

#include "core/ops.hpp"
#include "core/random.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

TEST_CASE("the first numbers of seed 0 and 1 are SplitMix64's", "[random]") {
  Generator zero(0), one(1), by_default;
  CHECK(zero.next() == 0xe220a8397b1dcdafu);  // as in the reference implementation
  CHECK(zero.next() == 0x6e789e6aa1b965f4u);
  CHECK(zero.next() == 0x06c45d188009454fu);
  CHECK(zero.next() == 0xf88bb8a8724c81ecu);
  CHECK(one.next() == 0x910a2dec89025cc1u);
  CHECK(one.next() == 0xbeeb8da1658eec67u);
  CHECK(by_default.next() == 0xe220a8397b1dcdafu);
}

TEST_CASE("uniform: the top 53 bits, 0 included and 1 not", "[random]") {
  Generator generator(0);
  CHECK(generator.uniform() == double(0xe220a8397b1dcdafu >> 11) / 9007199254740992.);
  double sum = 0, squares = 0, low = 1, high = 0;
  constexpr int kN = 200000;
  for (int i = 0; i < kN; ++i) {
    const double u = generator.uniform();
    sum += u;
    squares += u * u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  CHECK(low >= 0);
  CHECK(low < 1e-4);
  CHECK(high < 1);
  CHECK(high > 1 - 1e-4);
  CHECK_THAT(sum / kN, WithinAbs(0.5, 4 * 0.2887 / 447));  // 4 standard errors
  CHECK_THAT(squares / kN, WithinAbs(1 / 3., 4 * 0.2981 / 447));
}

TEST_CASE("normal: its first four moments, and its tails", "[random]") {
  Generator generator(1);
  constexpr int kN = 200000;
  double moment[5] = {};
  int beyond_two = 0;
  for (int i = 0; i < kN; ++i) {
    const double x = generator.normal();
    double power = 1;
    for (double& m : moment) {
      m += power / kN;
      power *= x;
    }
    beyond_two += std::abs(x) > 2;
  }
  CHECK_THAT(moment[1], WithinAbs(0, 4 / 447.));
  CHECK_THAT(moment[2], WithinAbs(1, 4 * 1.4142 / 447));
  CHECK_THAT(moment[3], WithinAbs(0, 4 * 3.873 / 447));
  CHECK_THAT(moment[4], WithinAbs(3, 4 * 9.798 / 447));
  CHECK_THAT(beyond_two / double(kN), WithinAbs(0.0455, 4 * 0.2084 / 447));
}

TEST_CASE("normal: neighbours do not depend on each other", "[random]") {
  Generator generator(2);
  double previous = generator.normal(), product = 0;
  for (int i = 0; i < 100000; ++i) {
    const double x = generator.normal();
    product += x * previous / 100000;
    previous = x;
  }
  CHECK_THAT(product, WithinAbs(0, 4 / 316.));
}

TEST_CASE("below: every number below n, equally often", "[random]") {
  Generator generator(3);
  for (std::size_t n : {1, 2, 7, 10}) {
    std::vector<int> count(n, 0);
    for (int i = 0; i < 70000; ++i) {
      const std::size_t k = generator.below(n);
      REQUIRE(k < n);
      ++count[k];
    }
    const double expected = 70000. / double(n);
    double chi_squared = 0;
    for (int c : count) chi_squared += (c - expected) * (c - expected) / expected;
    INFO("n = " << n);
    CHECK(chi_squared < 30);  // 9 degrees of freedom at most: 30 is one in two thousand
  }
  // 3/4 of 2^64: without rejection the lower third of the results would come twice as often
  const std::size_t large = std::size_t{3} << 62;
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += generator.below(large) < large / 3;
  CHECK_THAT(low / 30000., WithinAbs(1 / 3., 4 * 0.4714 / 173));
}

TEST_CASE("shuffle: a permutation, each place equally likely", "[random]") {
  Generator generator(4);
  std::vector<std::vector<int>> count(5, std::vector<int>(5, 0));
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::size_t> v{0, 1, 2, 3, 4};
    generator.shuffle(v);
    for (std::size_t i = 0; i < 5; ++i) ++count[i][v[i]];
    std::sort(v.begin(), v.end());
    REQUIRE(v == std::vector<std::size_t>{0, 1, 2, 3, 4});
  }
  for (const auto& row : count) {
    for (int c : row) CHECK(std::abs(c - 4000) < 4.5 * 56.6);
  }
  std::vector<std::size_t> none, one{7};
  generator.shuffle(none);
  generator.shuffle(one);
  CHECK(none.empty());
  CHECK(one == std::vector<std::size_t>{7});
}

TEST_CASE("arrays are filled in order from the same numbers", "[random]") {
  Generator a(6), b(6);
  const Array x = uniform({2, 3}, -2, 4, a);
  CHECK(x.shape() == Shape{2, 3});
  for (std::size_t i = 0; i < x.size(); ++i)
    CHECK_THAT(double(x.data()[i]), WithinAbs(-2 + 6 * b.uniform(), 1e-6));
  const Array y = normal({4}, a);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y.data()[i] == Real(b.normal()));
  CHECK(a.next() == b.next());
}

TEST_CASE("the least number that can be drawn does no harm", "[random]") {
  const std::uint64_t seed = 0 - 0x9e3779b97f4a7c15u;  // the counter's first number is 0
  REQUIRE(Generator(seed).uniform() == 0);
  CHECK(Generator(seed).normal() == 0);  // not the logarithm of 0
  Generator generator(seed);
  CHECK(dropout(Tensor(full({}, 1)), 0, generator).item() == 1);
}
