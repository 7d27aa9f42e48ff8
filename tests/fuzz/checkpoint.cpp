// The file of --checkpoint as it is; what its numbers do is for state.cpp.
#include "examples/checkpoint.hpp"

#include <optional>

#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/training.hpp"

namespace {

struct Resumed : fuzz::Training {
  Resumed(const std::string& from, const char* to)
      : checkpoints(options(from, to), "fuzz", {{"seed", 1}}, &report) {
    run.schedule = &schedule;
    checkpoints.resume(run);
  }
  static CheckpointOptions options(const std::string& from, const char* to) {
    CheckpointOptions paths;
    paths.save = fuzz::path_of(to);
    paths.resume = from;
    return paths;
  }
  std::string saved() {
    std::filesystem::remove(checkpoints.path());
    checkpoints.save(run);
    return fuzz::read(checkpoints.path());
  }
  Checkpoints checkpoints;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::input(data, size);
  std::optional<Resumed> training;
  if (!fuzz::takes([&] { training.emplace(path, "saved"); })) return 0;
  const std::string first = training->saved();
  fuzz::require(!first.empty() && Resumed(fuzz::path_of("saved"), "again").saved() == first,
                "a checkpoint must be read back");
  training->step(3);  // and the run goes on
  training->report.end_epoch({{"epoch", 2}});
  return 0;
}
