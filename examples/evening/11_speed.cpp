// Chapter 11: the same LSTM twice, of small ops and as one: equal numbers, other costs.
#include <chrono>
#include <cstdio>

#include "core/core.hpp"
#include "layers/layers.hpp"
using namespace gradwalk;

struct Count : Observer {  // every op of the forward pass
  std::size_t ops = 0;
  void on_forward(const char*, const Tensors&, const Tensors&) override { ++ops; }
};

static Array step(const char* name, bool fused, const Tensor& x) {
  Generator generator(1);  // the same weights for both
  LstmOptions options;
  options.fused = fused;
  const LSTM lstm(32, 64, generator, options);
  const auto start = std::chrono::steady_clock::now();
  for (int k = 0; k < 3; ++k) backward(sum(lstm(x).last));
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;

  Count count;
  const std::size_t before = live_nodes();
  const Tensor loss = sum(lstm(x).last);
  std::printf("%s  ops %4zu  nodes %4zu  time %.1f ms a step\n", name, count.ops,
              live_nodes() - before, time.count() / 3);
  return dense(lstm.parameters()[1].grad()).value();  // of weight_hh
}

int main() {
  Generator generator(2);
  const Tensor x(normal({50, 16, 32}, generator));  // [T, N, D]
  const Array small = step("small ops", false, x), fused = step("fused    ", true, x);
  double largest = 0, apart = 0;
  for (std::size_t i = 0; i < small.size(); ++i) {
    largest = std::max(largest, std::abs(double(small.data()[i])));
    apart = std::max(apart, std::abs(double(small.data()[i] - fused.data()[i])));
  }
  std::printf("dweight_hh: %zu numbers, up to %.4f, all equal to 1e-10: %s\n", small.size(),
              largest, apart < 1e-10 * largest ? "yes" : "no");
}
