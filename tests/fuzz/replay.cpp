// The main of a fuzz target without libFuzzer: each file of a folder once.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz.hpp"

int main(int argc, char** argv) {
  std::size_t inputs = 0;
  for (const auto& file : std::filesystem::directory_iterator(argc == 2 ? argv[1] : "")) {
    std::fprintf(stderr, "%s\n", file.path().c_str());  // before it: the last one is what failed
    const std::string bytes = fuzz::read(file.path().string());
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    ++inputs;
  }
  std::fprintf(stderr, "%zu inputs, %zu accepted\n", inputs, fuzz::accepted);
  fuzz::require(fuzz::accepted > 0,
                "no seed is accepted: the format has changed, and they have not");
}
