#include "tests/benchmarks/works.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

std::vector<Work> all_works() {
  Work dense{"W1-dense", "sentiment step, dense", Kind::kClassifier, true, 30};
  Work sparse = dense;
  sparse.name = "W2-sparse";
  sparse.what = "sentiment step, row-sparse";
  sparse.sparse = true;
  std::vector<Work> works{dense, sparse};

  for (const auto& [name, V] :
       {std::pair("W3-1e4", 10000), {"W3-1e5", 100000}, {"W3-1e6", 1000000}}) {
    Work lookup{name, "lookup step, V = " + std::to_string(V), Kind::kLookup, false, 100};
    lookup.V = static_cast<std::size_t>(V);
    lookup.sparse = true;
    lookup.rate = 50;
    works.push_back(lookup);
  }

  Work mse = works.back();
  mse.name = "W3-mse";
  mse.what = "the same, libtorch's mse_loss";
  mse.mse = true;
  works.push_back(mse);

  Work big{"W4-bilstm", "2 layers both ways, H = 512", Kind::kClassifier, true, 2};
  big.rate = 1e-3;  // higher, it is so steep that rounding decides
  big.D = 300;
  big.H = 512;
  big.N = 32;
  big.T = 128;
  big.layers = 2;
  big.bidirectional = true;
  works.push_back(big);

  works.push_back({"W5-chain", "10,000 ops of one number", Kind::kChain, false, 15});
  Work mlp{"W5-mlp", "784-128-10, batch 64", Kind::kMlp, false, 300};
  mlp.D = 784;
  mlp.rate = 1;
  works.push_back(mlp);

  Work epoch = sparse;
  epoch.name = "epoch";
  epoch.what = "8,512 sentences of real lengths";
  epoch.samples = 1;
  epoch.steps = 133;
  epoch.T = 60;
  epoch.ragged = true;
  works.push_back(epoch);

  Work composed = sparse;
  composed.name = "composed";
  composed.what = "W2, our LSTM of small ops";
  composed.composed = true;
  works.push_back(composed);

  const auto breadth = [&works](const char* name, const char* what, int samples) {
    works.push_back({std::string("breadth-") + name, what, Kind::kBreadth, true, samples});
  };
  breadth("layer-norm", "[4096, 128]", 100);
  breadth("reduce", "sum, mean, max of [64, 64, 128]", 100);
  breadth("permute", "and concat, [64, 64, 128]", 100);
  breadth("broadcast", "[64, 64, 128] * [128] + [64, 1]", 200);
  breadth("cnn", "widths 3, 4, 5 over [64, 128, 64]", 9);
  breadth("softmax-100k", "cross-entropy, 100,000 classes", 9);
  breadth("attention", "two batched products, softmax", 60);
  breadth("gru", "T = N = 64, 128 -> 128", 15);
  breadth("rnn", "T = N = 64, 128 -> 128", 40);
  breadth("lstm", "T = N = 64, 128 -> 128", 15);
  breadth("lstm-one", "N = 1", 200);
  breadth("lstm-tiny", "N = 8, 16 -> 16", 200);
  breadth("bilstm-2", "2 layers, both ways, lengths", 5);
  breadth("lstm-cell", "32 steps", 20);
  breadth("mlp-3", "784-256-256-10, batch 64", 200);
  breadth("lookups", "at each of 500 steps", 20);
  breadth("bag", "mean, row-sparse, SGD", 200);
  breadth("adam", "1,000,000 parameters", 100);
  breadth("dropout", "[64, 64, 128]", 60);
  breadth("elementwise", "tanh(exp(a / 10) * a + a)", 100);
  return works;
}

Work find_work(const std::string& name) {
  for (const Work& work : all_works()) {
    if (work.name == name) return work;
  }
  throw std::invalid_argument("no such work: " + name);
}

namespace {

// The k-th word's share falls as 1/k (Zipf).
std::int64_t zipf(std::size_t V, Numbers& numbers) {
  const double id = std::exp(numbers.uniform() * std::log(static_cast<double>(V))) - 1;
  return static_cast<std::int64_t>(std::min(id, static_cast<double>(V - 1)));
}

// Words of a movie review's sentence: about normal, mean 20, deviation 9.5, from 1 to `longest`.
std::int64_t review_length(std::size_t longest, Numbers& numbers) {
  double z = -6;  // a sum of twelve is nearly normal
  for (int i = 0; i < 12; ++i) z += numbers.uniform();
  return std::clamp<std::int64_t>(std::lround(20 + 9.5 * z), 1, static_cast<std::int64_t>(longest));
}

}  // namespace

std::vector<Batch> make_batches(const Work& work) {
  Numbers numbers(3);
  std::vector<Batch> batches;
  for (int b = 0; b < std::max(8, work.steps); ++b) {
    Batch batch{work.T, {}, {}, std::vector<std::int64_t>(work.N, std::int64_t(work.T))};
    if (work.ragged) {
      for (std::int64_t& length : batch.lengths) length = review_length(work.T, numbers);
      std::sort(batch.lengths.rbegin(), batch.lengths.rend());
      batch.T = static_cast<std::size_t>(batch.lengths[0]);
    }
    for (std::size_t t = 0; t < batch.T; ++t) {
      for (std::size_t n = 0; n < work.N; ++n)
        batch.ids.push_back(std::int64_t(t) < batch.lengths[n] ? zipf(work.V, numbers) : 0);
    }
    for (std::size_t n = 0; n < work.N; ++n)
      batch.targets.push_back(static_cast<std::int64_t>(numbers.uniform() * 2));
    batches.push_back(std::move(batch));
  }
  return batches;
}

std::vector<std::int64_t> mlp_targets(const Work& work) {
  std::vector<std::int64_t> targets;
  for (std::size_t n = 0; n < work.N; ++n) targets.push_back(std::int64_t(n) % kClasses);
  return targets;
}
