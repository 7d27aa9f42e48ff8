// Linked into a program (CMake: gradwalk::see), records its first training step, writes the page
// that GRADWALK_SEE names and ends the program. Does nothing where that is not set.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "core/trace.hpp"

namespace {

using namespace gradwalk;

class FirstStep : public Trace {
 public:
  explicit FirstStep(std::string path) : path_(std::move(path)) {}
  ~FirstStep() override { write(); }

  void on_forward(const char* op, const Tensors& inputs, const Tensors& ys) override {
    if (updated_) end();
    if (!grad_enabled() && Node::running == nullptr) return;  // no part of a training step
    seen_ = true;
    Trace::on_forward(op, inputs, ys);
  }
  void on_gradient(const Tensor& x, const Gradient& dx) override {
    if (updated_) end();
    Trace::on_gradient(x, dx);
  }
  void on_update(const Tensor& parameter, const char* policy, bool done) override {
    Trace::on_update(parameter, policy, done);
    updated_ = updated_ || done;
  }
  void write() {
    if (written_ || getpid() != process_) return;
    written_ = true;
    if (!seen_) {
      std::fprintf(stderr, "see: no op of a training step was recorded, so there is no page\n");
      return;
    }
    try {
      save_page(path_);
      std::fprintf(stderr, "page of one training step: %s\n", path_.c_str());
      if (!stopped().empty()) std::fprintf(stderr, "it ends early: %s\n", stopped().c_str());
    } catch (const std::exception& e) {
      std::fprintf(stderr, "see: %s\n", e.what());
      std::_Exit(1);
    }
  }

 private:
  void end() {
    std::fflush(nullptr);
    write();
    std::_Exit(0);
  }

  std::string path_;
  pid_t process_ = getpid();  // a forked child has no page
  bool seen_ = false, updated_ = false, written_ = false;
};

std::unique_ptr<FirstStep> step = [] {
  const char* path = std::getenv("GRADWALK_SEE");
  return std::unique_ptr<FirstStep>(path != nullptr && *path ? new FirstStep(path) : nullptr);
}();

// An exception that nobody catches ends the page, too.
const std::terminate_handler before = std::set_terminate([] {
  if (step != nullptr) {
    try {
      if (std::current_exception()) std::rethrow_exception(std::current_exception());
    } catch (const std::exception& e) {
      step->stop(e.what());
    } catch (...) {
    }
    step->write();
  }
  before();
});

}  // namespace
