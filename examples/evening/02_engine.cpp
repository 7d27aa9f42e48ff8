// Chapter 02: the walk back. b is used twice, and its rule must run once.
#include <iostream>

#include "core/core.hpp"
using namespace gradwalk;

int main(int argc, char**) {
  const Tensor a({3}, true);
  const auto forward = [&] {
    const Tensor b = a * 2;  // b has two users:
    const Tensor c = b * b;  // this op, and by both of its inputs,
    return sum(c + b);       // and this one
  };
  if (argc > 1) {  // ./run evening 02 draw: the picture of the chapter
    std::cout << draw(forward());
    return 0;
  }
  {
    PrintedTape tape(std::cout);
    tape.name(a, "a");
    backward(forward());
  }

  std::cout << "\nwhat is alive\n";
  const std::size_t before = live_nodes();
  const Tensor loss = forward();
  std::cout << "  after the forward pass: " << live_nodes() - before << " nodes more\n";
  backward(loss);
  std::cout << "  after backward(): " << live_nodes() - before << ", the loss alone\n";
  std::cout << "  a.grad() has been added to twice: " << dense(a.grad()).value() << "\n";
  try {
    backward(loss);
  } catch (const std::logic_error& e) {
    std::cout << "\n" << e.what() << "\n";
  }
}
