// How fast: each work beside what it is measured against, in one run on one thread. Medians; look
// at the ratios, not at the milliseconds, which belong to the machine.
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>

#include "core/autograd.hpp"
#include "core/blas.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"

using namespace gradwalk;

namespace {

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// The median time of each work; they take turns, so that a noisy moment hits all.
std::vector<double> medians(int rounds, const std::vector<std::function<void()>>& works) {
  std::vector<std::vector<double>> times(works.size());
  for (int round = -2; round < rounds; ++round) {
    for (std::size_t k = 0; k < works.size(); ++k) {
      const double t = milliseconds(works[k]);
      if (round >= 0) times[k].push_back(t);
    }
  }
  std::vector<double> result;
  for (std::vector<double>& t : times) {
    std::nth_element(t.begin(), t.begin() + static_cast<long>(t.size() / 2), t.end());
    result.push_back(t[t.size() / 2]);
  }
  return result;
}

// Ids as frequent as words are: the k-th word's share falls as 1/k (Zipf).
Indices zipf(const Shape& shape, std::size_t V, Generator& generator) {
  Indices ids = empty<Indices>(shape);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const double id = std::exp(generator.uniform() * std::log(static_cast<double>(V))) - 1;
    ids.data()[i] = static_cast<std::int64_t>(std::min(id, static_cast<double>(V - 1)));
  }
  return ids;
}

// The matrix products of an LSTM's forward and backward over full lengths, and nothing else.
std::function<void()> products(std::size_t T, std::size_t N, std::size_t D, std::size_t H) {
  const std::size_t G = 4 * H;
  return [=, x = std::vector<Real>(T * N * D, Real(0.01)), a = std::vector<Real>(T * N * G),
          w = std::vector<Real>(G * D), u = std::vector<Real>(G * H),
          h = std::vector<Real>(T * N * H, Real(0.01))]() mutable {
    for (auto* numbers : {&a, &w, &u}) std::fill(numbers->begin(), numbers->end(), Real(0.01));
    gemm(false, true, T * N, G, D, x.data(), D, w.data(), D, 0, a.data(), G);
    for (std::size_t t = 1; t < T; ++t)
      gemm(false, true, N, G, H, h.data(), H, u.data(), H, 1, a.data() + t * N * G, G);
    std::fill(a.begin(), a.end(), Real(0.01));
    for (std::size_t t = 1; t < T; ++t)
      gemm(false, false, N, H, G, a.data() + t * N * G, G, u.data(), H, 0, h.data(), H);
    gemm(false, false, T * N, D, G, a.data(), G, w.data(), D, 0, x.data(), D);
    gemm(true, false, G, D, T * N, a.data(), G, x.data(), D, 0, w.data(), D);
    gemm(true, false, G, H, (T - 1) * N, a.data(), G, h.data(), H, 0, u.data(), H);
  };
}

void sentiment_step() {
  const std::size_t V = 20000, D = 128, H = 128, N = 64, T = 64;
  Generator generator(1);
  Embedding embedding(V, D, generator);
  LSTM lstm(D, H, generator);
  Linear head(H, 2, generator);
  std::vector<Tensor> parameters;
  for (Module* m : {static_cast<Module*>(&embedding), static_cast<Module*>(&lstm),
                    static_cast<Module*>(&head)}) {
    for (const Tensor& p : m->parameters()) parameters.push_back(p);
  }
  Adam adam(parameters);
  const Indices ids = zipf({T, N}, V, generator);
  Indices targets = empty<Indices>({N});
  for (std::size_t n = 0; n < N; ++n) targets.data()[n] = static_cast<std::int64_t>(n % 2);
  const CrossEntropyLoss loss;
  const auto step = [&] {
    adam.zero_grad();
    backward(loss(head(lstm(embedding(ids)).last), targets));
    adam.step();
  };
  const std::vector<double> t = medians(30, {step, products(T, N, D, H)});
  std::printf("training step, V 20000, D 128, H 128, batch 64, length 64, Adam, row-sparse\n");
  std::printf("  step %.1f ms   its matrix products alone %.1f ms   ratio %.2f\n\n", t[0], t[1],
              t[0] / t[1]);
}

// Forward and backward of one LSTM; lengths spread evenly over 1..T, longest first, where `ragged`.
void fused_against_composed(std::size_t T, std::size_t N, std::size_t D, std::size_t H,
                            bool ragged) {
  Generator generator(2);
  LstmOptions composed;
  composed.fused = false;
  LSTM fast(D, H, generator), readable(D, H, generator, composed);
  const Tensor x(normal({T, N, D}, generator), true);
  std::vector<std::size_t> lengths;
  for (std::size_t n = 0; n < N; ++n) lengths.push_back(ragged ? T - n * T / N : T);
  const auto run = [&](const LSTM& lstm) {
    return [&] { backward(sum(lstm(Sequences{x, lengths}).output.values)); };
  };
  const std::vector<double> t = medians(15, {run(fast), run(readable), products(T, N, D, H)});
  std::printf(
      "  D %3zu  H %3zu  batch %2zu  length %2zu %s  fused %6.2f ms   composed %6.2f ms   ratio "
      "%.1f   products of full lengths %6.2f ms\n",
      D, H, N, T, ragged ? "ragged" : "full  ", t[0], t[1], t[1] / t[0], t[2]);
}

// Forward and backward of two layers in both directions, the input's gradient included.
void two_layers_both_ways() {
  const std::size_t T = 128, N = 32, D = 300, H = 512;
  Generator generator(4);
  LstmOptions options;
  options.num_layers = 2;
  options.bidirectional = true;
  LSTM lstm(D, H, generator, options);
  const Tensor x(normal({T, N, D}, generator), true);
  const std::function<void()> first = products(T, N, D, H), second = products(T, N, 2 * H, H);
  const auto all = [&] {
    for (const auto* layer : {&first, &first, &second, &second}) (*layer)();
  };
  const std::vector<double> t = medians(5, {[&] { backward(sum(lstm(x).output)); }, all});
  std::printf("two-layer bidirectional LSTM, D 300, H 512, batch 32, length 128\n");
  std::printf("  forward and backward %.0f ms   its matrix products alone %.0f ms   ratio %.2f\n\n",
              t[0], t[1], t[0] / t[1]);
}

double peak_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

// A step that looks up 4,096 ids: mean squared error to zero, backward, SGD.
void embedding_step() {
  std::printf("embedding step, 4096 Zipf ids, D 128, SGD, row-sparse\n");
  double at_10k = 0;
  for (const std::size_t V : {10000u, 100000u, 1000000u}) {
    Generator generator(3);
    Embedding embedding(V, 128, generator);
    SGD sgd(embedding.parameters(), 0.1);
    std::vector<Indices> batches;  // new rows at each step, as in training
    for (int b = 0; b < 8; ++b) batches.push_back(zipf({4096}, V, generator));
    std::size_t b = 0;
    const Tensor target(full({4096, 128}, 0));
    const MSELoss mse;
    const double t = medians(100, {[&] {
                               sgd.zero_grad();
                               backward(mse(embedding(batches[b++ % batches.size()]), target));
                               sgd.step();
                             }})[0];
    if (V == 10000) at_10k = t;
    std::printf("  V %7zu   %.2f ms   %.2fx of V 10000   peak memory %.0f MB, weights %.0f MB\n", V,
                t, t / at_10k, peak_megabytes(),
                static_cast<double>(V * 128 * sizeof(Real)) / 1048576);
  }
  std::printf("\n");
}

void chain() {
  const int n = 10000;
  const double t = medians(30, {[&] {
                             const Tensor leaf(full({}, Real(0.5)), true);
                             Tensor x = leaf;
                             for (int i = 0; i < n; ++i)
                               x = i % 3 == 0 ? x + leaf : i % 3 == 1 ? x * leaf : tanh(x);
                             backward(x);
                           }})[0];
  std::printf("chain of %d scalar ops: %.0f ns for each, forward and backward, nobody watching\n\n",
              n, t * 1e6 / n);
}

void lstm_twins() {
  std::printf("LSTM forward and backward\n");
  fused_against_composed(64, 64, 128, 128, false);
  fused_against_composed(64, 64, 128, 128, true);
  fused_against_composed(21, 32, 100, 128, false);
  fused_against_composed(64, 16, 32, 32, false);
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
#ifdef M_MMAP_THRESHOLD  // glibc
  // Keep freed blocks: by default each large array of each step is mapped, zeroed page by page and
  // unmapped again.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
  const std::pair<std::string, void (*)()> works[] = {
      {"embedding", embedding_step},  // first: it reports the peak
      {"sentiment", sentiment_step},
      {"lstm", lstm_twins},
      {"bilstm", two_layers_both_ways},
      {"chain", chain}};
  const std::vector<std::string> wanted(argv + 1, argv + argc);
  for (const std::string& name : wanted) {
    if (std::none_of(std::begin(works), std::end(works),
                     [&](auto& w) { return w.first == name; })) {
      std::fprintf(stderr, "usage: bench [embedding] [sentiment] [lstm] [bilstm] [chain]\n");
      return 2;
    }
  }
  for (const auto& [name, work] : works) {
    if (wanted.empty() || std::count(wanted.begin(), wanted.end(), name)) work();
  }
}
