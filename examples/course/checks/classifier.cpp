#include "examples/course/checks/classifier.hpp"

#include <cmath>
#include <cstdio>

#include "core/autograd.hpp"
#include "examples/sentiment/corpus.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"

namespace course {

using namespace gradwalk;

namespace {

// [T, D]: where a word stands, in waves of D / 2 lengths (Vaswani et al. 2017)
Tensor positions(std::size_t T, std::size_t D) {
  Array p = empty({T, D});
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t d = 0; d < D; ++d) {
      const double angle = static_cast<double>(t) * std::pow(100, -2.0 * (d / 2) / D);
      p(t, d) = d % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
  }
  return Tensor(p);
}

// logits = head(max over words of relu(mix(x + attention(x)))), x = word + position
class Classifier : public Module {
 public:
  Classifier(Attention attention, std::size_t words, std::size_t D, Generator& generator)
      : attention_(std::move(attention)),
        words_(words, D, generator),
        q_(D, D, generator),
        k_(D, D, generator),
        v_(D, D, generator),
        mix_(D, D, generator),
        head_(D, 2, generator) {
    child("words", words_), child("q", q_), child("k", k_);
    child("v", v_), child("mix", mix_), child("head", head_);
  }
  Tensor operator()(const Batch& batch) const {
    const std::size_t T = batch.ids.shape(0), N = batch.ids.shape(1);
    Indices ids = empty<Indices>({N, T});
    Array padding = full({N, 1, T}, 0);
    for (std::size_t n = 0; n < N; ++n) {
      for (std::size_t t = 0; t < T; ++t) {
        ids(n, t) = batch.ids(t, n);
        padding(n, 0, t) = t >= batch.lengths[n];
      }
    }
    const Tensor x = words_(ids) + positions(T, words_.weight().shape(1));
    const Tensor y = attention_(q_(x), k_(x), v_(x), Tensor(padding));
    const Tensor features = relu(mix_(x + y));
    return head_(max(where(reshape(Tensor(padding), {N, T, 1}), zeros({}), features), {1}));
  }

 private:
  Attention attention_;
  Embedding words_;
  Linear q_, k_, v_, mix_, head_;
};

double accuracy(const Classifier& model, const std::vector<Sentence>& sentences) {
  const NoGrad no_grad;
  std::size_t right = 0;
  for (const Batch& batch : make_batches(sentences, 100)) {
    const Indices guess = argmax(model(batch), 1);
    for (std::size_t n = 0; n < guess.size(); ++n) right += guess(n) == batch.labels(n);
  }
  return static_cast<double>(right) / static_cast<double>(sentences.size());
}

}  // namespace

double train_classifier(const Attention& attention) {
  const Corpus corpus = built_in_corpus();
  const Vocabulary vocabulary(count_words(corpus.train), 1);
  const std::vector<Sentence> train = encode(corpus.train, vocabulary, 40),
                              test = encode(corpus.test, vocabulary, 40);
  Generator generator(1);
  Classifier model(attention, vocabulary.size(), 32, generator);
  Adam adam(model.parameters(), {3e-3});
  double reached = 0;
  for (int epoch = 1; epoch <= 12 && reached < 0.95; ++epoch) {
    for (const Batch& batch : make_batches(train, 20, &generator)) {
      adam.zero_grad();
      backward(softmax_cross_entropy(model(batch), batch.labels));
      adam.step();
    }
    reached = accuracy(model, test);
    std::printf("epoch %d: accuracy %.3f on the built-in test sentences\n", epoch, reached);
  }
  return reached;
}

}  // namespace course
