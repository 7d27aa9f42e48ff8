// One side of the benchmark, one work a process, so that its peak memory is its own:
//   bench_SIDE WORK THREADS WARM_UP SAMPLES [V=10000] [T=32] ...   where sizes differ from the work's
// Prints a line for each loss of the steps that warm up, each time, and the peak.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>

#include "tests/benchmarks/works.hpp"

namespace {

double peak_megabytes() {  // 0: this system does not say
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

void resize(Work& work, const std::string& size) {
  const std::size_t value = std::stoul(size.substr(2));
  (size[0] == 'V' ? work.V : size[0] == 'T' ? work.T : size[0] == 'N' ? work.N : work.H) = value;
}

Step make_step(const Work& work) {
  switch (work.kind) {
    case Kind::kClassifier:
      return classifier(work);
    case Kind::kLookup:
      return lookup(work);
    case Kind::kChain:
      return chain();
    case Kind::kMlp:
      return mlp(work);
    case Kind::kBreadth:
      return breadth(work);
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Work work = find_work(argv[1]);
    for (int k = 5; k < argc; ++k) resize(work, argv[k]);
    use_threads(std::atoi(argv[2]));
    if (work.kind == Kind::kBreadth) {
      for (const double number : breadth_numbers(work)) std::printf("loss %.9g\n", number);
    }
    const Step step = make_step(work);
    for (int k = 0; k < std::atoi(argv[3]); ++k) std::printf("loss %.9g\n", step());
    for (int k = 0; k < std::atoi(argv[4]); ++k) {
      const auto start = std::chrono::steady_clock::now();
      for (int s = 0; s < work.steps; ++s) step();
      const std::chrono::duration<double, std::milli> time =
          std::chrono::steady_clock::now() - start;
      std::printf("ms %.6f\n", time.count());
    }
    std::printf("peak %.1f\n", peak_megabytes());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
    return 1;
  }
}
