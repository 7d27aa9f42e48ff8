// Chapter 06: one weight, used at every step; and an LSTM cell, gate by gate.
#include <cmath>
#include <cstdio>

#include "core/core.hpp"
#include "layers/layers.hpp"
using namespace gradwalk;

static void through_time() {  // h_t = tanh(w h_{t-1} + x_t); loss = h_3
  const double w = 0.5, x[] = {1, 0.5, -1};
  double h[4] = {0}, dh = 1, dw = 0;
  for (int t = 1; t <= 3; ++t) h[t] = std::tanh(w * h[t - 1] + x[t - 1]);
  for (int t = 3; t >= 1; --t) {
    const double da = dh * (1 - h[t] * h[t]);  // through tanh
    std::printf("step %d  h %7.4f  dh %.4f  da %.4f  to dw %7.4f\n", t, h[t], dh, da,
                da * h[t - 1]);
    dw += da * h[t - 1];  // every step adds its part
    dh = da * w;          // and hands the rest to the step before
  }
  const Tensor weight(full({1, 1}, Real(0.5)), true), one(full({1, 1}, 1));
  const Cell cell = [&](const Tensor& x_t, const Tensors& before) -> Tensors {
    return {rnn_cell(x_t, before[0], {one, weight, {}, {}, {}}, Nonlinearity::kTanh)};
  };
  const Tensor xs(Array{1, 0.5, -1});
  backward(sum(unroll({cell}, reshape(xs, {3, 1, 1}), {Tensor(full({1, 1}, 0))}).state[0]));
  std::printf("dw by hand %.4f, by the engine %.4f\n\n", dw, double(dense(weight.grad()).item()));
}

int main() {
  through_time();
  const Tensor ih(reshape(Tensor({1, 2, 3, 4}), {4, 1})), hh(full({4, 1}, Real(0.5)));  // i f g o
  const double x = 0.5, h = 0.1, c = -0.2;
  const auto sigmoid1 = [](double v) { return 1 / (1 + std::exp(-v)); };
  const double i = sigmoid1(1 * x + 0.5 * h), f = sigmoid1(2 * x + 0.5 * h);
  const double g = std::tanh(3 * x + 0.5 * h), o = sigmoid1(4 * x + 0.5 * h);
  std::printf("i %.4f  f %.4f  g %.4f  o %.4f\n", i, f, g, o);
  std::printf("c = f c + i g = %.4f   h = o tanh(c) = %.4f\n", f * c + i * g,
              o * std::tanh(f * c + i * g));
  const auto one = [](double v) { return Tensor(full({1, 1}, Real(v))); };
  const LstmState after = lstm_cell(one(x), {one(h), one(c)}, {ih, hh, {}, {}, {}});
  std::printf("lstm_cell:      %.4f                   %.4f\n", double(after.c.item()),
              double(after.h.item()));
}
