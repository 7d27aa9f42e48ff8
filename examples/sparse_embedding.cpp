// What a row-sparse gradient saves: training steps on a large embedding, whose gradient is once a
// dense table and once the rows that were looked up; time and memory of each phase.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "core/core.hpp"
#include "examples/text.hpp"
#include "layers/embedding.hpp"
#include "optim/sgd.hpp"
using namespace gradwalk;

namespace {

struct Arguments {
  std::size_t rows = 1000000, dim = 128, ids = 4096, steps = 5;
};

enum Phase { kTable, kForward, kZeroGrad, kBackward, kStep, kPhases };
constexpr const char* kNames[kPhases] = {"make the table", "forward", "zero_grad", "backward",
                                         "step"};

struct Report {                         // plain numbers, to be sent through a pipe
  std::array<double, kPhases> ms;       // the median of all steps
  std::array<double, kPhases> peak_mb;  // the most memory held so far, at the phase's first end
};

double peak_mb() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss) / 1e6;
#else
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
#endif
}

Report measure(const Arguments& a, bool sparse) {
  using Clock = std::chrono::steady_clock;
  std::array<std::vector<double>, kPhases> ms;
  Report report{};
  const auto timed = [&](Phase phase, const auto& work) {
    const Clock::time_point start = Clock::now();
    work();
    ms[phase].push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    if (ms[phase].size() == 1) report.peak_mb[phase] = peak_mb();
  };

  Generator generator(1);
  std::unique_ptr<Embedding> embedding;
  EmbeddingOptions options;
  options.sparse = sparse;
  timed(kTable,
        [&] { embedding = std::make_unique<Embedding>(a.rows, a.dim, generator, options); });
  SGD sgd(embedding->parameters(), {0.1});
  Indices ids = empty<Indices>({a.ids});
  for (std::size_t step = 0; step < a.steps; ++step) {
    for (std::size_t i = 0; i < a.ids; ++i) {
      ids.data()[i] = static_cast<std::int64_t>(generator.below(a.rows));
    }
    Tensor loss;
    timed(kForward, [&] { loss = sum((*embedding)(ids)); });
    timed(kZeroGrad, [&] { sgd.zero_grad(); });
    timed(kBackward, [&] { backward(loss); });
    timed(kStep, [&] { sgd.step(); });
  }
  for (std::size_t p = 0; p < kPhases; ++p) {
    std::nth_element(ms[p].begin(), ms[p].begin() + ms[p].size() / 2, ms[p].end());
    report.ms[p] = ms[p][ms[p].size() / 2];
  }
  return report;
}

// In a process of its own, because a peak never falls again.
Report measure_apart(const Arguments& a, bool sparse) {
  int ends[2];
  check<std::runtime_error>(pipe(ends) == 0, "no pipe");
  std::fflush(nullptr);
  const pid_t child = fork();
  check<std::runtime_error>(child >= 0, "no second process");
  if (child == 0) {
    try {
      const Report report = measure(a, sparse);
      _exit(write(ends[1], &report, sizeof report) == sizeof report ? 0 : 1);
    } catch (const std::exception&) {
      _exit(1);
    }
  }
  close(ends[1]);
  Report report{};
  const bool whole = read(ends[0], &report, sizeof report) == sizeof report;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  check<std::runtime_error>(whole, "the ", sparse ? "sparse" : "dense",
                            " run came to no result; is there memory for it? Try fewer --rows");
  return report;
}

void print(const Report& dense, const Report& sparse) {
  std::printf("                       dense                sparse\n");
  std::printf("                    ms   peak MB          ms   peak MB\n");
  double dense_ms = 0, sparse_ms = 0;
  for (std::size_t p = 0; p < kPhases; ++p) {
    std::printf("%-14s  %8.3f  %8.1f    %8.3f  %8.1f\n", kNames[p], dense.ms[p], dense.peak_mb[p],
                sparse.ms[p], sparse.peak_mb[p]);
    if (p == kTable) continue;
    dense_ms += dense.ms[p];
    sparse_ms += sparse.ms[p];
  }
  std::printf("%-14s  %8.3f  %8s    %8.3f\n", "in all", dense_ms, "", sparse_ms);
}

int run(int argc, char** argv) {
  CLI::App app{"Trains a large embedding with dense and with row-sparse gradients, and compares."};
  Arguments a;
  app.add_option("--rows", a.rows, "Rows of the table")
      ->check(CLI::Range(1, 1000000000))
      ->capture_default_str();
  app.add_option("--dim", a.dim, "Numbers in a row")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--ids", a.ids, "Rows looked up in a step")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  app.add_option("--steps", a.steps, "Of whose times the median is shown")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  std::printf("table [%zu, %zu], %.1f MB; %zu random ids a step; medians of %zu steps of SGD\n\n",
              a.rows, a.dim, static_cast<double>(a.rows * a.dim * sizeof(Real)) / 1e6, a.ids,
              a.steps);
  const Report dense = measure_apart(a, false);
  print(dense, measure_apart(a, true));
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run_program("sparse_embedding", run, argc, argv); }
