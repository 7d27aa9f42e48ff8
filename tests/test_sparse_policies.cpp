// SparsePolicy::kExact against the dense optimizer, and what it costs, by counting.
#include <cmath>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/optimizer_kinds.hpp"

using namespace gradwalk;

namespace {

constexpr std::size_t kRows = 40, kWidth = 3;
constexpr double kTolerance = sizeof(Real) == 4 ? 2e-4 : 1e-12;

Tensor table(std::uint64_t seed) {
  Generator g(seed);
  return Tensor(normal({kRows, kWidth}, g), true);
}

// n ids, the small ones far more often: the rarest is away for hundreds of steps, if it ever comes
Indices zipf(std::size_t n, Generator& g) {
  Indices ids = empty<Indices>({n});
  for (std::int64_t& id : ids) id = static_cast<std::int64_t>(kRows * std::pow(g.uniform(), 5));
  return ids;
}

// |got - expected|, relative to the greatest number of the row, which is what rounding is relative to
void check_equal(const Array& got, const Array& expected) {
  double worst = 0;
  for (std::size_t at = 0; at < got.size(); at += kWidth) {
    double off = 0, size = 0;
    for (std::size_t i = at; i < at + kWidth; ++i) {
      off = std::max(off, std::abs(double(got.data()[i]) - double(expected.data()[i])));
      size = std::max(size, std::abs(double(expected.data()[i])));
    }
    worst = std::max(worst, off / size);
  }
  CHECK(worst <= kTolerance);
}

}  // namespace

TEST_CASE("exact: 500 random steps end where the dense optimizer's do", "[policies]") {
  for (const OptimizerKind& kind : optimizer_kinds()) {
    for (bool schedule : {false, true}) {
      INFO(kind.name << (schedule ? ", the learning rate changes" : ""));
      const Tensor a[2] = {table(1), table(2)}, b[2] = {table(1), table(2)};
      const auto exact = kind.make({a[0], a[1]}, SparsePolicy::kExact),
                 reference = kind.make({b[0], b[1]}, SparsePolicy::kLazy);
      Generator g(3);
      for (int step = 0; step < 500; ++step) {
        if (schedule && step % 3 == 0) {
          const double lr = 0.1 * (1 + std::sin(0.01 * step)) * g.uniform();
          exact->set_lr(lr);
          reference->set_lr(lr);
        }
        const std::size_t n = g.below(6);
        const Indices first = zipf(n, g), second = zipf(2, g);
        const Tensor c(normal({n, kWidth}, g)), d(normal({2, kWidth}, g));
        const auto loss = [&](const Tensor* w, bool sparse) {
          Tensor y = sum(gather_rows(w[0], first, {}, sparse) * c) +
                     sum(gather_rows(w[0], second, {}, sparse) * d);
          if (step % 5 < 2) y = y + sum(gather_rows(w[1], second, {}, sparse) * d);
          return y;
        };
        exact->zero_grad();
        reference->zero_grad();
        backward(loss(a, true));
        backward(loss(b, false));
        exact->step();
        reference->step();
        if (step % 97 == 96) check_equal(a[1].value(), b[1].value());
        if (step % 31 == 30) {
          const Indices some = zipf(3, g);
          check_equal(gather_rows(a[0], some).value(), gather_rows(b[0], some).value());
        }
      }
      for (int i : {0, 1}) check_equal(a[i].value(), b[i].value());
    }
  }
}
