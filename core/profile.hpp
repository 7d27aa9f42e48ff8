// What a training step costs: time and memory of each op, forward and backward.
//
//   Profile profile;
//   ... some steps ...
//   std::cout << profile;
//   profile.save("step.json");   // for chrome://tracing or https://ui.perfetto.dev
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/observer.hpp"

namespace gradwalk {

class [[nodiscard]] Profile : public Observer {
 public:
  struct Op {
    std::size_t calls = 0;
    double forward = 0, backward = 0;       // seconds
    std::size_t values = 0, gradients = 0;  // bytes made, all calls together
    std::size_t kept = 0;                   // bytes of values alive at the peak
  };
  const std::map<std::string, Op>& ops() const { return ops_; }
  std::size_t peak() const { return peak_; }  // bytes of all values alive at once

  // A table, the slowest op first. An op's forward time begins where the event before it ended, so
  // the first one of a step also counts what the program did in between.
  friend std::ostream& operator<<(std::ostream& out, const Profile& profile);
  void save(const std::string& path) const;  // throws FileError

  void on_forward(const char* op, const Tensors& inputs, const Tensors& ys) override;
  void on_gradient(const Tensor& x, const Gradient& dx) override;
  void on_backward(const Tensor& y, const Tensors& dys, const Gradients& dxs) override;
  void on_update(const Tensor& parameter, const char* policy, bool done) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Event {
    std::string name;
    const char* kind;
    double start, seconds;
  };
  double lap(const std::string& name, const char* kind);  // seconds since the event before
  void note_peak();

  std::map<std::string, Op> ops_;
  std::vector<Event> events_;
  std::vector<std::pair<std::weak_ptr<Node>, const char*>> values_;  // made since the last backward
  Clock::time_point start_ = Clock::now(), last_ = start_;
  bool walking_ = false;
  std::size_t peak_ = 0;
};

}  // namespace gradwalk
