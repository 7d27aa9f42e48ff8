// The classifier, and its file: weights, vocabulary and configuration in one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "examples/sentiment/data.hpp"
#include "layers/layers.hpp"

struct ModelConfig {
  std::string kind = "lstm";  // or "bag"
  std::size_t embedding_dim = 100;
  std::size_t hidden = 128;
  std::size_t num_classes = 2;
  std::size_t max_tokens = 512;
  double dropout = 0.5;
};

// lstm: logits = Linear(Dropout(h at the last token)), h = LSTM(Dropout(embedding))
// bag:  logits = Linear(Dropout(mean of the embeddings)), blind to order
class SentimentModel : public gradwalk::Module {
 public:
  // `sparse`: the gradient of the embedding is row-sparse.
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
  gradwalk::Tensor classify(const gradwalk::Tensor& embedded,
                            const std::vector<std::size_t>& lengths) const;

  // bag_ alone, or embedding_ and lstm_
  std::unique_ptr<gradwalk::EmbeddingBag> bag_;
  std::unique_ptr<gradwalk::Embedding> embedding_;
  std::unique_ptr<gradwalk::LSTM> lstm_;
  gradwalk::Dropout embedding_dropout_, dropout_;
  gradwalk::Linear linear_;
};

// What a model file holds.
struct Classifier {
  ModelConfig config;
  Vocabulary vocabulary;
  std::unique_ptr<SentimentModel> model;
};

void save_classifier(const std::string& path, const ModelConfig& config,
                     const Vocabulary& vocabulary, const SentimentModel& model);
// Any file gives a model that works or a gradwalk::FileError. The generator, kept for the dropout,
// must outlive the model.
Classifier load_classifier(const std::string& path, gradwalk::Generator& generator);
