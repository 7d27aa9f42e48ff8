// Chapter 12: from sentences to a classifier and back to words, with the parts of examples/sentiment.
#include <cstdio>
#include <iostream>

#include "core/core.hpp"
#include "examples/sentiment/corpus.hpp"
#include "examples/sentiment/train.hpp"
#include "examples/text.hpp"
using namespace gradwalk;

int main() {
  const Corpus corpus = built_in_corpus();  // label and text
  const Vocabulary vocabulary(count_words(corpus.train), 2);
  const std::vector<Sentence> train_set = encode(corpus.train, vocabulary, 64);
  const std::vector<Sentence> dev_set = encode(corpus.dev, vocabulary, 64);
  std::printf("%zu  %s\n", corpus.train[0].label, corpus.train[0].text.c_str());
  for (std::int64_t id : train_set[0].ids) std::printf("%lld ", static_cast<long long>(id));

  ModelConfig config;
  config.embedding_dim = 32, config.hidden = 32, config.dropout = 0.2;
  Generator generator(1);
  SentimentModel model(config, vocabulary.size(), generator);
  std::cout << "\n\n" << model << "\n";

  Adam adam(model.parameters(), {5e-3});
  for (int epoch = 1; epoch <= 5; ++epoch) {
    model.train();
    double loss_sum = 0;
    const std::vector<Batch> batches = make_batches(train_set, 32, &generator);
    for (const Batch& batch : batches) {
      const Tensor loss = softmax_cross_entropy(model(batch), batch.labels);
      adam.zero_grad();
      backward(loss);
      clip_grad_norm(model.parameters(), 5);
      adam.step();
      loss_sum += double(loss.item());
    }
    const double dev = accuracy(evaluate(model, dev_set, 2));
    std::printf("epoch %d  loss %.4f  dev %.4f\n", epoch, loss_sum / double(batches.size()), dev);
  }

  const std::string text = "not bad at all";
  const auto [probabilities, pushes, label] = model.explain(vocabulary.encode(text, 64));
  std::printf("\n%s: label %zu, probability %.4f\n", text.c_str(), label, probabilities[label]);
  const std::vector<std::string_view> words = tokenize(text);
  for (std::size_t t = 0; t < words.size(); ++t)
    std::printf("%-4s %7.4f\n", std::string(words[t]).c_str(), pushes[t]);
}
