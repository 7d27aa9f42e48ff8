// What is measured, and the numbers that every side starts from: shapes, ids and initial weights.
// No tensors here, so that a side can be any library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

enum class Kind {
  kClassifier,  // cross entropy of linear(last h of lstm(embedding(ids))), Adam
  kLookup,      // mean of embedding(ids)^2, SGD
  kChain,       // kOps times +, * or tanh of a single number
  kMlp,         // cross entropy of linear(relu(linear(x))), SGD
  kBreadth      // one layer, op or optimizer (breadth_ours.cpp): sizes are its own
};
constexpr int kOps = 10000, kClasses = 10;

struct Work {
  std::string name, what;
  Kind kind;
  bool splits;         // among threads; what is too small for that is measured on one
  int samples;         // how often it is timed in a round
  int steps = 1;       // training steps of one sample
  double rate = 1e-2;  // of learning: high, so that in a few steps losses tell wrong gradients
  // A table of V rows of D numbers, or D inputs; N sequences of T ids; H hidden units.
  std::size_t V = 20000, D = 128, H = 128, N = 64, T = 64, layers = 1;
  bool bidirectional = false;
  bool sparse = false;    // the table's gradient is row-sparse
  bool ragged = false;    // lengths as in movie reviews instead of T
  bool mse = false;       // libtorch's: a lookup's loss by mse_loss, as ours always does
  bool composed = false;  // ours: the LSTM made of small ops

  // Of the group breadth: its name there.
  std::string kernel() const { return name.substr(name.find('-') + 1); }
};

std::vector<Work> all_works();
// Throws std::invalid_argument for a name that is not there.
Work find_work(const std::string& name);

// The same on every machine.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : engine_(seed) {}
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // in [0, 1)
  // An initial weight, or an input: uniform in -0.1 ... 0.1.
  void fill(float* x, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(0.2 * uniform() - 0.1);
  }

 private:
  std::mt19937_64 engine_;
};

struct Batch {
  std::size_t T;                      // of the longest
  std::vector<std::int64_t> ids;      // [T, N], as frequent as words are; 0 after a row's end
  std::vector<std::int64_t> targets;  // [N]
  std::vector<std::int64_t> lengths;  // [N], the longest first
};
// For kClassifier and kLookup: new ids at each step, as in training.
std::vector<Batch> make_batches(const Work& work);
std::vector<std::int64_t> mlp_targets(const Work& work);

// What a side defines: for each kind a function that makes one training step after the other, each
// returning the loss before its update. Initial weights are taken from Numbers(1), parameter by
// parameter in PyTorch's order; the input of kMlp from Numbers(2).
using Step = std::function<double()>;
void use_threads(int threads);
Step classifier(const Work& work);
Step lookup(const Work& work);
Step chain();
Step mlp(const Work& work);
Step breadth(const Work& work);
// The output, leaves and gradients of a kBreadth, each as one number; the loss is not a plain sum.
std::vector<double> breadth_numbers(const Work& work);
