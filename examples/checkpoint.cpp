#include "examples/checkpoint.hpp"

#include <cstdio>

#include "core/error.hpp"
#include "core/machine/threads.hpp"
#include "examples/json.hpp"
#include "examples/report.hpp"
#include "examples/text.hpp"
#include "layers/files/safetensors.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::FileError;
using gradwalk::StateDict;
using gradwalk::StateValues;
using gradwalk::Tensor;
using nlohmann::json;

namespace {

constexpr const char* kFormat = "gradwalk run 1";

std::string brief(const json& value) {  // a file may hold any
  constexpr std::size_t kMost = 60;
  const std::string text = value.dump();
  return text.size() > kMost ? text.substr(0, kMost) + "..." : text;
}

// That the run of a file is this one; else the first option that differs is named.
void check_same(const json& saved, const json& now) {
  check<FileError>(saved.is_object(), "does not say what it is a checkpoint of");
  for (const auto& [key, value] : now.items()) {
    const auto there = saved.find(key);
    check<FileError>(there != saved.end(), "is of a program that knew no ", key);
    check<FileError>(*there == value, "is of another run: ", key, " was ", brief(*there), ", now ",
                     brief(value));
  }
}

}  // namespace

Checkpoints::Checkpoints(const CheckpointOptions& options, const char* program, const json& what,
                         Report* report)
    : options_(options), program_(program), what_(what), report_(report) {
  options_.save = options.output().path;
  what_["precision"] = sizeof(gradwalk::Real) == 4 ? "float" : "double";
}

bool Checkpoints::due() const {
  const std::chrono::duration<double, std::ratio<60>> minutes =
      std::chrono::steady_clock::now() - last_;
  return !options_.save.empty() && minutes.count() >= options_.every;
}

void Checkpoints::save(const Run& run) {
  if (options_.save.empty()) return;
  StateDict state;
  // The values as they stand: read by value(), rows that owe steps would take them now, and the run
  // would no longer be the one that nobody saved.
  for (const auto& [name, tensor] : run.model.state_dict())
    state.emplace_back("model." + name, Tensor(Array(tensor.node()->value)));
  for (const auto& [name, values] : run.best_values)
    state.emplace_back("best_model." + name, Tensor(Array(values)));
  add_part(state, "optimizer", run.optimizer.state_dict());
  add_part(state, "generator", run.generator.state_dict());
  add_part(state, "at_epoch_start", run.at_epoch_start.state_dict());
  if (run.schedule) add_part(state, "schedule", run.schedule->state_dict());
  add_part(state, "more", run.more);
  if (report_) add_part(state, "report", report_->state_dict());
  state.emplace_back(
      "place", gradwalk::bits_of_counts({run.epoch, run.position, run.done, std::size_t(run.begun),
                                         run.best_epoch, gradwalk::num_threads()}));
  state.emplace_back("sums", gradwalk::bits_of_doubles(run.sums));
  state.emplace_back("best", gradwalk::bits_of_doubles(run.best));
  gradwalk::Metadata metadata{{"format", kFormat}, {"program", program_}, {"run", what_.dump()}};
  if (report_) metadata["report"] = report_->figures();
  try {
    gradwalk::save_safetensors(options_.save, state, metadata);
    saved_ = true;
  } catch (const FileError& e) {
    std::fprintf(stderr, "%s: %s\n", program_, e.what());
    saved_ = false;
  }
  last_ = std::chrono::steady_clock::now();
}

void Checkpoints::resume(Run& run, const std::function<void(const StateValues& more)>& take_more) {
  run.sums.resize(run.num_sums);
  run.best.resize(run.num_best);
  if (options_.resume.empty()) return;
  const char* op = "checkpoint";
  auto [values, metadata] = gradwalk::load_safetensors(options_.resume);
  try {
    check<FileError>(metadata["format"] == kFormat && metadata["program"] == program_,
                     "is not a checkpoint of this program");
    check_same(parse_json(metadata["run"]), what_);
    run.model.load_state_dict(take_part(values, "model"));
    run.best_values = take_part(values, "best_model");
    run.optimizer.load_state_dict(take_part(values, "optimizer"));
    run.generator.load_state_dict(take_part(values, "generator"));
    run.at_epoch_start.load_state_dict(take_part(values, "at_epoch_start"));
    if (run.schedule) run.schedule->load_state_dict(take_part(values, "schedule"));
    const StateValues more = take_part(values, "more"), report = take_part(values, "report");
    if (take_more) take_more(more);
    if (report_ && !report.empty()) report_->load_state_dict(metadata["report"], report);
    check_values("the run's",
                 {{"place", {6, 4}}, {"sums", {run.num_sums, 4}}, {"best", {run.num_best, 4}}},
                 values);
    const auto place = counts_of(op, values.at("place"));
    run.epoch = place[0];
    run.position = place[1];
    run.done = place[2];
    run.begun = place[3] != 0;
    run.best_epoch = place[4];
    if (run.best_epoch > 0)
      check_values("the model's", shapes_of(run.model.state_dict()), run.best_values);
    run.sums = doubles_of(op, values.at("sums"));
    run.best = doubles_of(op, values.at("best"));
    if (place[5] != gradwalk::num_threads())
      std::fprintf(
          stderr, "%s: %s began with %zu threads and goes on with %zu: not in the same bits\n",
          program_, options_.resume.c_str(), std::size_t(place[5]), gradwalk::num_threads());
  } catch (const std::exception& e) {
    throw FileError(gradwalk::message(options_.resume, ": ", e.what()));
  }
  std::printf("resumed: epochs that are over: %s%s\n", thousands(run.epoch).c_str(),
              run.begun ? ", and a part of the next" : "");
  std::fflush(stdout);
}

void Saves::operator()(const std::function<void()>& save) {
  try {
    save();
    failed_ = nullptr;
  } catch (const FileError& e) {
    std::fprintf(stderr, "%s: %s\n", program_, e.what());
    failed_ = save;
  }
}

bool Saves::finish() {
  if (failed_) (*this)(std::function<void()>(failed_));
  return !failed_;
}
