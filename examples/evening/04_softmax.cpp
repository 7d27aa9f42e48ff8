// Chapter 04: scores become probabilities, probabilities a loss; and the gradient is p - q.
#include <cmath>
#include <iostream>

#include "core/core.hpp"
using namespace gradwalk;

int main() {
  const Tensor logits({{2, 1, 0}}, true);  // [N, C] = [1, 3]
  const Indices targets{1};                // [N]
  const Tensor p = softmax(logits, 1);
  std::cout << "p              " << p.value() << "\n";
  std::cout << "-log p[target] " << -std::log(p.value()(0, 1)) << "\n";

  const Tensor loss = softmax_cross_entropy(logits, targets);
  backward(loss);
  std::cout << "the op         " << loss.item() << "\n";
  std::cout << "dlogits        " << dense(logits.grad()).value() << "\n";
  std::cout << "p - q          " << (p - one_hot(targets, 3)).value() << "\n\n";

  // The same in two ops: what softmax's rule and log's rule make of it.
  const Tensor again(logits.value(), true);
  backward(-sum(log(softmax(again, 1)) * one_hot(targets, 3)));
  std::cout << "in small ops   " << dense(again.grad()).value() << "\n\n";

  // Large scores: e^1000 is infinite, and one op need not compute it.
  const Tensor large({{1000, 0}}, true);
  std::cout << "e^x            " << exp(large).value() << "\n";
  std::cout << "softmax        " << softmax(large, 1).value() << "\n";
  std::cout << "loss of target 1: -log(softmax) " << -log(softmax(large, 1)).value()(0, 1)
            << ", the op " << softmax_cross_entropy(large, Indices{1}).item() << "\n";
}
