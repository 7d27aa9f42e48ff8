#include "layers/module.hpp"

#include <algorithm>
#include <array>
#include <iomanip>

#include "core/error.hpp"
#include "core/observer.hpp"
#include "core/text.hpp"

namespace gradwalk {

StateDict Module::state_dict() const {
  StateDict state = own_;
  for (const auto& [name, module] : children_) add_part(state, name, module->state_dict());
  return state;
}

std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> tensors;
  for (const auto& entry : state_dict()) tensors.push_back(entry.second);
  return tensors;
}

void Module::load_state_dict(const StateValues& values) {
  check_values("the module's", shapes_of(state_dict()), values);
  for (auto [name, tensor] : state_dict()) {
    const Array& from = values.at(name);
    std::copy_n(from.data(), from.size(), tensor.mutable_value().data());
  }
}

void Module::zero_grad() {
  for (Tensor& tensor : parameters()) tensor.zero_grad();
}

void Module::train(bool on) {
  training_ = on;
  for (const auto& entry : children_) entry.second->train(on);
}

void Module::check_new(const std::string& name) const {
  const auto has = [&](const auto& entry) { return entry.first == name; };
  check(std::none_of(own_.begin(), own_.end(), has) &&
            std::none_of(children_.begin(), children_.end(), has),
        "module: the name ", in_quotes(name), " is taken");
}

Tensor Module::parameter(std::string name, Array init) {
  check_new(name);
  own_.emplace_back(std::move(name), Tensor(std::move(init), true));
  if (Observer::first()) Observer::tell_parameter(own_.back().first, own_.back().second);
  return own_.back().second;
}

void Module::child(std::string name, Module& module) {
  check_new(name);
  children_.emplace_back(std::move(name), &module);
}

std::vector<Tensor> parameters(const std::vector<const Module*>& modules) {
  std::vector<Tensor> all;
  for (const Module* module : modules) {
    for (const Tensor& parameter : module->parameters()) all.push_back(parameter);
  }
  return all;
}

std::ostream& operator<<(std::ostream& out, const Module& module) {
  std::vector<std::array<std::string, 3>> table;
  std::size_t total = 0;
  for (const auto& [name, tensor] : module.state_dict()) {
    table.push_back({name, message(tensor.shape()), message(tensor.size())});
    total += tensor.size();
  }
  table.push_back({"total", "", message(total)});
  std::array<std::size_t, 3> widths{};
  for (const auto& row : table) {
    for (std::size_t i = 0; i < 3; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::ostringstream text;
  for (const auto& row : table) {
    text << (&row == &table[0] ? "" : "\n") << std::left << std::setw(widths[0]) << row[0] << "  "
         << std::setw(widths[1]) << row[1] << "  " << std::right << std::setw(widths[2]) << row[2];
  }
  return out << text.str();
}

}  // namespace gradwalk
