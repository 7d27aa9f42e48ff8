// Chapter 05: an embedding reads rows of a table; its gradient is those rows. Then, similar words.
#include <iostream>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
using namespace gradwalk;

static void rows() {
  Generator generator(1);
  EmbeddingOptions options;
  options.padding_idx = 0;
  const Embedding embedding(6, 2, generator, options);
  const Indices ids{{3, 5}, {5, 0}};  // [T, N]: "3 5" and "5", padded with 0
  const Tensor y = embedding(ids);    // [T, N, D] = [2, 2, 2]
  std::cout << "y\n" << y.value() << "\n\n";
  backward(sum(y * Tensor(Array{{{1, 1}, {10, 10}}, {{100, 100}, {1000, 1000}}})));
  const auto& gradient = std::get<RowSparse>(embedding.weight().grad());
  std::cout << "as it came\n" << embedding.weight().grad() << "\n";
  std::cout << "coalesced\n" << Gradient(coalesce(gradient)) << "\n";
  std::cout << describe(gradient) << "\n\n";
}

int main() {
  rows();
  // Words that stand beside the same words: cats and dogs eat and sleep, cars and buses do not.
  const std::vector<std::string> words{"cat", "dog", "car", "bus"};
  const Indices word{0, 0, 1, 1, 2, 2, 3, 3};       // cat eats, cat sleeps, dog eats, ...
  const Indices neighbour{0, 1, 0, 1, 2, 3, 2, 3};  // eats, sleeps, drives, stops
  Generator generator(5);
  const Embedding embedding(4, 3, generator);
  const Linear predict(3, 4, generator);
  Adam adam(parameters({&embedding, &predict}), {0.05});
  for (int step = 0; step <= 100; ++step) {
    if (step % 100 == 0) {
      const WordVectors vectors(words, embedding.weight().value());
      std::cout << "step " << step << "\n";
      for (const std::string& w : words)
        std::cout << "  nearest to " << w << ": " << vectors.nearest(w, 1)[0].word << "\n";
    }
    adam.zero_grad();
    backward(softmax_cross_entropy(predict(embedding(word)), neighbour));
    adam.step();
  }
}
