// Skip-gram with negative sampling (Mikolov et al. 2013, https://arxiv.org/abs/1310.4546).
#pragma once

#include <functional>
#include <vector>

#include "core/random.hpp"
#include "examples/checkpoint.hpp"
#include "examples/word2vec/corpus.hpp"
#include "layers/embedding.hpp"

// Two vectors for each word: u as the centre of a window, v as a word near one. u . v says how well
// the two go together. Both tables get row-sparse gradients.
class SkipGram : public gradwalk::Module {
 public:
  SkipGram(std::size_t num_words, std::size_t dim, gradwalk::Generator& generator);

  // scores[n, k] = u[centres[n]] . v[candidates[n, k]]   centres [N, 1], candidates [N, C]
  gradwalk::Tensor operator()(const gradwalk::Indices& centres,
                              const gradwalk::Indices& candidates) const;
  const gradwalk::Array& vectors() const { return u_.weight().value(); }  // [num_words, dim]

 private:
  gradwalk::Embedding u_, v_;
};

// Draws words as often as count^0.75 says: rare words more often than they occur.
class NoiseSampler {
 public:
  explicit NoiseSampler(const std::vector<std::size_t>& counts);
  std::int64_t draw(gradwalk::Generator& generator) const;

 private:
  std::vector<double> sums_;  // of the weights up to and with each word
};

struct TrainOptions {
  std::size_t epochs = 3;
  std::size_t window = 5;        // words to each side at most; each centre draws 1 to that many
  std::size_t negative = 5;      // K, noise words for each pair
  std::size_t batch_size = 128;  // pairs in a step
  double subsample = 1e-3;  // words more frequent than this share are skipped at random; 0: none
  double lr = 0.01;         // Adam's, falls linearly to 0
};

struct Epoch {
  std::size_t number;
  double loss, seconds;
};

// Minimises the mean over pairs (centre, context) of -log s(u.v) - sum_k log s(-u.v_k), where s is
// the sigmoid and v_k are K noise words. after_epoch is told of each epoch that is over. False if
// it was interrupted. Where it is goes into the checkpoints now and then, and is where it begins.
bool train(SkipGram& model, const Corpus& corpus, const TrainOptions& options,
           gradwalk::Generator& generator,
           const std::function<void(const Epoch& epoch)>& after_epoch, Checkpoints& checkpoints);
