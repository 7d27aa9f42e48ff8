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
  std::vector<Tensor> parameters;
  for (Module* m : std::initializer_list<Module*>{&embedding, &lstm, &head})
    for (const Tensor& p : m->parameters()) parameters.push_back(p);
  Adam adam(parameters, {1e-2});
  const Indices ids{{3, 7}, {7, 3}}, targets{0, 1};  // ids [T, N]: a column is a sentence
  for (int step = 1; step <= 100; ++step) {
    const Tensor loss = softmax_cross_entropy(head(lstm(embedding(ids)).last), targets);
    adam.zero_grad();
    backward(loss);
    adam.step();
    if (step % 25 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item());
  }
}
