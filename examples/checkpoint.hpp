// A training run in a file, from which it goes on in the same bits after Ctrl-C, a kill or a power
// cut: --checkpoint, --every and --resume.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/random.hpp"
#include "examples/text.hpp"
#include "layers/module.hpp"
#include "optim/optim.hpp"

class Report;

struct CheckpointOptions {
  std::string save, resume;  // files; to resume is to save there, too, unless save says otherwise
  double every = 10;         // minutes

  // The files that are written and read, for check_outputs().
  FileOption output() const {
    return save.empty() ? FileOption{"--resume", resume} : FileOption{"--checkpoint", save};
  }
  FileOption input() const { return {"--resume", save.empty() || save == resume ? "" : resume}; }
};

// A run between two of its steps.
struct Run {
  gradwalk::Module& model;
  gradwalk::Optimizer& optimizer;
  gradwalk::Generator& generator;
  std::size_t num_sums, num_best;  // how many figures there are in what follows

  std::size_t epoch = 0, position = 0;   // epochs that are over, and steps of this one
  std::size_t done = 0;                  // what the steps of this one have worked through
  bool begun = false;                    // has this one drawn its order?
  std::vector<double> sums{};            // over what is done of it
  gradwalk::Generator at_epoch_start{};  // draws its order
  std::size_t best_epoch = 0;            // from 1; 0: there is none yet
  std::vector<double> best{};            // its figures
  gradwalk::StateValues best_values{};   // and the model's values then
  gradwalk::LRScheduler* schedule = nullptr;
  gradwalk::StateDict more{};  // what else a program needs

  void keep_best(std::vector<double> figures) {
    best_epoch = epoch + 1;
    best = std::move(figures);
    for (const auto& [name, tensor] : model.state_dict()) best_values[name] = tensor.value();
  }
  void next_epoch() {
    ++epoch;
    position = done = 0;
    begun = false;
  }
};

// What an epoch works through, as make(generator) draws it: again, if it has begun before.
template <class F>
auto order_of_epoch(Run& run, const F& make) {
  if (!run.begun) {
    run.at_epoch_start = run.generator;
    run.sums.assign(run.num_sums, 0);
  }
  gradwalk::Generator generator = run.at_epoch_start;
  auto order = make(generator);
  if (!run.begun) run.generator = generator;
  run.begun = true;
  return order;
}

// Where a training loop leaves its state, and finds it again. One that was made without a file does
// nothing.
class Checkpoints {
 public:
  Checkpoints() = default;
  // `what`, an object, says all that the run depends on: a file of another one is refused.
  Checkpoints(const CheckpointOptions& options, const char* program, const nlohmann::json& what,
              Report* report = nullptr);

  // Sets the run to where the file of --resume says, if there is one; take_more is given what was
  // run.more. Throws gradwalk::FileError, also for what take_more throws.
  void resume(Run& run,
              const std::function<void(const gradwalk::StateValues& more)>& take_more = nullptr);
  bool due() const;  // is there a file, and has the time come?
  // Writes the file, if there is one. If that fails, it says so, and the training goes on.
  void save(const Run& run);
  bool saved() const { return saved_; }  // did that go well the last time?
  std::string path() const { return saved_ ? options_.save : ""; }

 private:
  CheckpointOptions options_{};
  const char* program_ = "";
  nlohmann::json what_{};
  Report* report_ = nullptr;
  bool saved_ = true;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// A number that differs where the data does (FNV-1a: Fowler, Noll, Vo 1991).
class Fingerprint {
 public:
  template <class Numbers>
  void add(const Numbers& numbers) {
    add_one(numbers.size());
    for (const auto& x : numbers) add_one(static_cast<std::uint64_t>(x));
  }
  void add_one(std::uint64_t x) {
    for (int byte = 0; byte < 8; ++byte) hash_ = (hash_ ^ (x >> (8 * byte) & 0xff)) * 0x100000001b3;
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

// A file that a run writes again and again. A failure is told and does not end the run: the next
// time may go well.
class Saves {
 public:
  explicit Saves(const char* program) : program_(program) {}
  void operator()(const std::function<void()>& save);
  bool finish();  // after the run: once more if the last time failed. Is it saved?

 private:
  const char* program_;
  std::function<void()> failed_;
};
