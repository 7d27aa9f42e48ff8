// The main of every check that ./run new writes. Without Catch2, which compiles for longer.
#include <exception>
#include <iostream>

void own_check();  // throws what is wrong

int main(int, char** argv) {
  try {
    own_check();
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
  std::cout << argv[0] + std::string(argv[0]).rfind('/') + 1 << ": passed\n";
}
