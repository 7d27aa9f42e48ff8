// One training step, recorded so that it can be looked at: as text, as a picture, as JSON
// (docs/trace.md) and as a page that plays it forwards and backwards.
//
//   Trace trace;
//   trace.name(model);
//   const Tensor loss = ...;
//   backward(loss);
//   optimizer.step();
//   trace.save_page("step.html");
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/observer.hpp"

namespace gradwalk {

class Trace : public Observer {
 public:
  // Records that many steps (ops, gradients and updates), and says so if there were more.
  explicit Trace(std::size_t most_steps = 10000);
  ~Trace() override;

  // Parameters made while it watches get the name of the variable in the user's line: "lstm" in
  // `LSTM lstm(8, 16, generator);` makes lstm.weight_ih_l0. Others can be named; an undefined one
  // throws std::logic_error.
  void name(const Tensor& t, const std::string& name);
  // Each parameter as in state_dict(), after "prefix." if there is one.
  template <class Module>
  void name(const Module& module, const std::string& prefix = "") {
    for (const auto& [name, t] : module.state_dict()) {
      this->name(t, prefix.empty() ? name : prefix + '.' + name);
    }
  }
  // For the page: the words of a sentence, one for each time step.
  void words(const std::vector<std::string>& words);
  // Ends the recording, and says why. An exception on the way need not be told: a rule that has not
  // come back ends the text, too.
  void stop(const std::string& why);
  std::string stopped() const;  // why; empty if nothing ended it

  // Each throws FileError, and then leaves the file as it was.
  void save(const std::string& path) const;       // JSON
  void save_page(const std::string& path) const;  // HTML that needs nothing else

  // For Graphviz: values, gradients, and modules as boxes. `dot -Tsvg` makes a picture of it.
  std::string draw() const;
  // What happened, one op after the other; a rule's own ops are indented below it.
  friend std::ostream& operator<<(std::ostream& out, const Trace& trace);

  void on_forward(const char* op, const Tensors& inputs, const Tensors& ys) override;
  void on_gradient(const Tensor& x, const Gradient& dx) override;
  void on_backward(const Tensor& y, const Tensors& dys, const Gradients& dxs) override;
  void on_update(const Tensor& parameter, const char* policy, bool done) override;
  void on_parameter(const std::string& name, const Tensor& parameter) override;

 protected:
  struct Recording;
  friend std::string draw(const Tensor& y);
  std::unique_ptr<Recording> recording_;
};

// Prints the text of a Trace while it happens, and keeps nothing.
class [[nodiscard]] PrintedTape : public Trace {
 public:
  explicit PrintedTape(std::ostream& out);
};

// The graph behind a tensor, for Graphviz, with the gradients that its leaves hold. backward()
// releases the graph unless it is asked to retain it. Throws std::logic_error if y is undefined.
std::string draw(const Tensor& y);

}  // namespace gradwalk
