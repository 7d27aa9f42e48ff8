// The base of every layer: it names the parameters, so that an optimizer can find them and a file
// can hold them.
// Every layer throws std::logic_error where it reads an undefined tensor, std::length_error if a
// parameter would hold more than 2^48 numbers, and what its class says.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "core/state.hpp"

namespace gradwalk {

// Neither copied nor moved: a copied handle would silently share weights.
// https://pytorch.org/docs/stable/generated/torch.nn.Module.html
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  StateDict state_dict() const;            // "weight" of child "lstm" is named "lstm.weight"
  std::vector<Tensor> parameters() const;  // those of state_dict()
  // Copies values into the parameters. Throws std::invalid_argument that lists missing, unexpected
  // and misshapen names; then nothing has changed.
  void load_state_dict(const StateValues& values);

  void zero_grad();            // of all parameters
  void train(bool on = true);  // what dropout does depends on it; children follow
  void eval() { train(false); }
  bool training() const { return training_; }

 protected:
  // For constructors. A name may be given once: std::invalid_argument.
  Tensor parameter(std::string name, Array init);  // a leaf that starts as `init`
  void child(std::string name, Module& module);    // which must live as long as this module

 private:
  void check_new(const std::string& name) const;

  std::vector<std::pair<std::string, Tensor>> own_;
  std::vector<std::pair<std::string, Module*>> children_;
  bool training_ = true;
};

// The parameters of several modules, for an optimizer: parameters({&embedding, &lstm, &head})
std::vector<Tensor> parameters(const std::vector<const Module*>& modules);

// A table of the parameters: name, shape and count, and the total.
std::ostream& operator<<(std::ostream& out, const Module& module);

}  // namespace gradwalk
