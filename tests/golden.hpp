// What PyTorch computed: tests/pytorch/golden.safetensors, written by golden.py beside it, or the
// file that the environment variable GRADWALK_GOLDEN names.
#pragma once

#include <cstdlib>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/core.hpp"
#include "layers/files/safetensors.hpp"
#include "tests/catch.hpp"

namespace golden {

using namespace gradwalk;
using Json = nlohmann::json;

constexpr double kTolerance = sizeof(Real) == 4 ? 1e-5 : 1e-10;

class Case {
 public:
  Case(std::size_t number, Json options) : number_(number), options_(std::move(options)) {}
  void add(const std::string& name, Array array) { arrays_.emplace(name, std::move(array)); }

  std::size_t number() const { return number_; }
  const Json& options() const { return options_; }
  const Json& operator[](const char* option) const { return options_.at(option); }
  template <class T>
  auto value(const char* option, const T& otherwise) const {
    return options_.value(option, otherwise);
  }

  bool has(const std::string& name) const { return arrays_.count(name) > 0; }
  const Array& array(const std::string& name) const { return arrays_.at(name); }
  Indices indices(const std::string& name) const {
    Indices ids = empty<Indices>(array(name).shape());
    for (std::size_t i = 0; i < ids.size(); ++i)
      ids.data()[i] = static_cast<std::int64_t>(array(name).data()[i]);
    return ids;
  }
  Tensor constant(const std::string& name) const { return Tensor(array(name)); }
  // With a gradient; undefined where PyTorch was given nothing.
  Tensor leaf(const std::string& name) const {
    return has(name) ? Tensor(array(name), true) : Tensor();
  }

 private:
  std::size_t number_;
  Json options_;
  std::map<std::string, Array> arrays_;
};

inline std::vector<Case> read_cases() {
  const char* given = std::getenv("GRADWALK_GOLDEN");
  const Checkpoint file =
      load_safetensors(given ? given : GRADWALK_SOURCE_DIR "/tests/pytorch/golden.safetensors");
  std::vector<Case> cases;
  for (const Json& options : Json::parse(file.metadata.at("cases")))
    cases.emplace_back(cases.size(), options);
  for (const auto& [name, array] : file.tensors) {  // 12.weight
    const std::size_t dot = name.find('.');
    cases.at(std::stoul(name.substr(0, dot))).add(name.substr(dot + 1), array);
  }
  return cases;
}

// Each case of one kind; its options are shown where a check fails.
inline void for_each_case(const std::string& kind, const std::function<void(const Case&)>& f) {
  static const std::vector<Case> cases = read_cases();
  int count = 0;
  for (const Case& c : cases) {
    if (c["kind"] != kind) continue;
    INFO("case " << c.number() << ": " << c.options().dump());
    f(c);
    ++count;
  }
  REQUIRE(count > 0);
}

inline void check_equal(const Case& c, const std::string& name, const Array& got) {
  INFO(name);
  const Array& expected = c.array(name);
  REQUIRE(got.shape() == expected.shape());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO("element " << i);
    const double e = double(expected.data()[i]);
    CHECK_THAT(double(got.data()[i]), WithinAbs(e, kTolerance * std::max(1., std::abs(e))));
  }
}

inline Array gradient(const Tensor& t) { return dense(t.grad()).value(); }

}  // namespace golden
