// The classifier, and its file: weights, vocabulary and configuration in one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "examples/sentiment/data.hpp"
#include "layers/layers.hpp"

struct ModelConfig {
  std::string kind = "lstm";  // or "gru", "cnn", "bag"
  std::size_t embedding_dim = 100;
  std::size_t hidden = 128;  // of each direction; of cnn: features for each width
  std::size_t num_classes = 2;
  std::size_t max_tokens = 512;
  double dropout = 0.5;
  // of lstm and gru
  std::size_t layers = 1;
  bool bidirectional = false;
  std::string pool = "last";  // or "mean", "max"
  bool fused = true;  // recurrent layers as one op; else small ones, to look into; not saved
};

// What sets the kinds of model apart: it makes features [N, F] of the words' vectors [T, N, D].
//   lstm, gru: the state at the last word (of each direction), or the mean or the greatest of all
//   cnn:       max over time of relu(conv_w(x)) for windows of w = 3, 4 and 5 words (Kim 2014)
//   bag:       the mean of the vectors, blind to order
struct Encoder {
  std::function<gradwalk::Tensor(const gradwalk::Sequences& words)> encode;
  std::string name;                          // of its layers in the state dict
  std::unique_ptr<gradwalk::Module> layers;  // none for bag
};

// logits = Linear(Dropout(encode(embedding))); of lstm and gru, encode begins with a Dropout too
class SentimentModel : public gradwalk::Module {
 public:
  // `sparse`: the gradient of the embedding is row-sparse. The generator is kept for the dropout.
  SentimentModel(const ModelConfig& config, std::size_t vocabulary_size,
                 gradwalk::Generator& generator, bool sparse = true);

  gradwalk::Tensor operator()(const Batch& batch) const;  // logits [N, C]
  // How much each token of one sentence moved score = the chosen logit - the mean logit:
  // gradient times input, <dscore/dx_t, x_t> of its vector x_t.
  struct Decision {
    std::vector<double> probabilities, pushes;  // [C], [T]
    std::size_t label;
  };
  Decision explain(const std::vector<std::int64_t>& ids) const;

  const gradwalk::Tensor& table() const;  // the embedding's weight [V, D]

 private:
  // bag_, which reduces rows as it reads them, or embedding_
  std::unique_ptr<gradwalk::EmbeddingBag> bag_;
  std::unique_ptr<gradwalk::Embedding> embedding_;
  gradwalk::Dropout dropout_;
  Encoder encoder_;
  gradwalk::Linear linear_;
};

// What a model file holds.
struct Classifier {
  ModelConfig config;  // without dropout, which only training needs
  Vocabulary vocabulary;
  std::unique_ptr<SentimentModel> model;
};

void save_classifier(const std::string& path, const ModelConfig& config,
                     const Vocabulary& vocabulary, const SentimentModel& model);
// Any file gives a model that works or a gradwalk::FileError. The generator, kept for the dropout,
// must outlive the model.
Classifier load_classifier(const std::string& path, gradwalk::Generator& generator,
                           bool fused = true);
