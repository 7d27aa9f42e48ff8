#include <cstdio>

#include "core/autograd.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
using namespace gradwalk;

int main() {  // the order of two words decides: "not good" is 0, "good not" is 1
  Generator generator(1);
  Embedding embedding(10, 8, generator);
  LSTM lstm(8, 16, generator);
  Linear head(16, 2, generator);
  Adam adam(parameters({&embedding, &lstm, &head}), {1e-2});
  const Indices ids{{3, 7}, {7, 3}}, targets{0, 1};  // ids [T, N]: a column is a sentence
  for (int step = 1; step <= 100; ++step) {
    const Tensor loss = softmax_cross_entropy(head(lstm(embedding(ids)).last), targets);
    adam.zero_grad();
    backward(loss);
    adam.step();
    if (step % 25 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item());
  }
}
