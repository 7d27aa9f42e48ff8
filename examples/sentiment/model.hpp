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
// bag:  logits = Linear(mean of the embeddings), blind to order
class SentimentModel : public gradwalk::Module {
 public:
  SentimentModel(const ModelConfig& config, std::size_t vocabulary_size,
                 gradwalk::Generator& generator);

  // ids [T, N] -> [T, N, D]
  gradwalk::Tensor embed(const gradwalk::Indices& ids) const { return embedding_(ids); }
  // [T, N, D] -> logits [N, C]. Apart from embed() so that a gradient can be asked for each word.
  gradwalk::Tensor classify(const gradwalk::Tensor& embedded,
                            const std::vector<std::size_t>& lengths) const;
  gradwalk::Tensor operator()(const Batch& batch) const {
    return classify(embed(batch.ids), batch.lengths);
  }

  // Overwrites the embedding by the file's vectors; the other rows get its spread.
  void start_from(const WordVectors& vectors, const Vocabulary& vocabulary);

 private:
  bool bag_;
  gradwalk::Embedding embedding_;
  gradwalk::Dropout embedding_dropout_, dropout_;
  std::unique_ptr<gradwalk::LSTM> lstm_;  // none in a bag
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
