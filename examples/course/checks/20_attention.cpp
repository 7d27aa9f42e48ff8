#include EXERCISE
#include <cstdio>

#include "examples/course/checks/check.hpp"
#include "examples/sentiment/corpus.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
namespace course {

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
  Classifier(std::size_t words, std::size_t D, Generator& generator)
      : words_(words, D, generator),
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
    const Tensor y = attention(q_(x), k_(x), v_(x), Tensor(padding));
    const Tensor features = relu(mix_(x + y));
    return head_(max(where(reshape(Tensor(padding), {N, T, 1}), zeros({}), features), {1}));
  }

 private:
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

void compare_numbers() {
  Generator generator(20);
  for (std::size_t D : {2, 4}) {
    const std::size_t N = 2, T = 4;
    const Tensor q(normal({N, T, D}, generator)), k(normal({N, T, D}, generator)),
        v(normal({N, T, D}, generator));
    Array padding = full({N, 1, T}, 0);
    padding(1, 0, 2) = padding(1, 0, 3) = 1;
    const Tensor mask(padding), raw = matmul(q, k, false, true);
    const Real root = std::sqrt(static_cast<Real>(D));
    const auto mixed = [&](const Tensor& scores, std::size_t axis) {
      return matmul(softmax(scores, axis), v).value();
    };
    const Tensor scores = masked_fill(raw / root, mask, -1e9);
    same(message("y for D = ", D), attention(q, k, v, mask).value(), mixed(scores, 2),
         {{mixed(masked_fill(raw, mask, -1e9), 2), "Scores are not divided by sqrt(D)."},
          {mixed(masked_fill(raw / (root * root), mask, -1e9), 2), "Divided by D, not by sqrt(D)."},
          {mixed(raw / root, 2), "Padding is looked at: its scores must be -1e9."},
          {mixed(where(mask, raw / root, Tensor(full({}, -1e9))), 2),
           "The other way round: only padding is looked at."},
          {mixed(scores, 1), "softmax is over i, the second axis; it must be over j, the last."},
          {matmul(scores, v).value(), "softmax is missing."},
          {softmax(scores, 2).value(), "These are the weights: multiply them by v."},
          {mixed(masked_fill(raw / root, mask, 0), 2),
           "A score of 0 still gets a weight: e^0 is 1. Put -1e9 before softmax."}});
  }
  derivatives(
      "attention",
      [](const Tensors& x) {
        return attention(x[0], x[1], x[2], zeros({1, 1, 3}));
      },
      {normal({1, 3, 2}, generator), normal({1, 3, 2}, generator), normal({1, 3, 2}, generator)});
}

void check_exercise() {
  compare_numbers();
  const Corpus corpus = built_in_corpus();
  const Vocabulary vocabulary(count_words(corpus.train), 1);
  const std::vector<Sentence> train = encode(corpus.train, vocabulary, 40),
                              test = encode(corpus.test, vocabulary, 40);
  Generator generator(1);
  Classifier model(vocabulary.size(), 32, generator);
  Adam adam(model.parameters(), {3e-3});
  double reached = 0;
  int epoch = 0;
  while (reached < 0.95 && epoch < 12) {
    ++epoch;
    for (const Batch& batch : make_batches(train, 20, &generator)) {
      adam.zero_grad();
      backward(softmax_cross_entropy(model(batch), batch.labels));
      adam.step();
    }
    reached = accuracy(model, test);
    std::printf("epoch %d: accuracy %.3f on the built-in test sentences\n", epoch, reached);
  }
  if (reached < 0.95)
    wrong(message("accuracy after 12 epochs: expected 0.95 or more, got ", reached), "");
}

}  // namespace course
