// Is a layer of one's own right in every respect? Runs 25 checks on it and says of each what was
// measured and what usually causes a failure (docs: an op and a layer of your own).
//
//   const LayerReport report = check_layer(
//       [](Generator& generator) { return std::make_unique<Linear>(3, 2, generator); },
//       [](const Linear& layer, const LayerSample& s) { return layer(s.x[0]); },
//       {LayerSample{{Tensor(normal({4, 3}, generator))}}}, tags);
//   std::cout << report;
//   report.require();  // throws if a check failed
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/random.hpp"
#include "layers/module.hpp"
#include "layers/sequences.hpp"

namespace gradwalk {

// The arguments of one call. Numbers should be of ordinary size, and no two examples alike.
struct LayerSample {
  Tensors x;             // what can be differentiated
  Indices ids = {};      // of a lookup, of one axis or more
  Lengths lengths = {};  // of sequences [T, N, ...]
};

// How a layer is made and called; see check_layer().
using MakeLayer = std::function<std::shared_ptr<Module>(Generator&)>;
using CallLayer = std::function<Tensor(const Module&, const LayerSample&)>;

// What the kit cannot know. A check that needs what is not given is skipped, and says so.
struct LayerTags {
  std::string name = {};                                       // errors must name it
  std::optional<std::size_t> batch_axis = {};                  // of x and ids
  std::optional<std::size_t> out_batch_axis = {};              // of the output, if another
  std::optional<std::size_t> time_axis = {};                   // of x, ids and the output
  std::optional<std::int64_t> padding_idx = {};                // an id that counts for nothing
  std::function<Shape(const LayerSample&)> output_shape = {};  // as the layer's comment states it
  std::map<std::string, Shape> parameters = {};                // their shapes, likewise
  std::set<std::string> no_gradient = {};  // parameters that a call gives none, for a reason
  bool changes_parameters = false;         // a call does, like max_norm
  bool any_shape = false;                  // no x has a wrong shape
  int feature_axis = -1;      // of x, whose length is fixed; counted from the end if negative
  MakeLayer make_dense = {};  // the same layer with sparse = false
};

// What each check found.
struct LayerReport {
  enum class Verdict { kPassed, kSkipped, kFailed };
  struct Row {
    std::string check;
    Verdict verdict;
    std::string why;  // skipped or failed
    double measured = 0, allowed = 0;
    std::string hint;  // what usually causes a failure
  };
  std::vector<Row> rows;

  std::size_t count(Verdict verdict) const;
  bool ok() const;       // none failed, and at least one ran
  void require() const;  // throws std::runtime_error that lists what failed, unless ok()
};
// A line for each check, and how many passed, were skipped and failed.
std::ostream& operator<<(std::ostream& out, const LayerReport& report);

// `make` constructs the layer with parameters, and perhaps later masks, from a generator that lives
// as long; `call` calls it. Throws std::invalid_argument without samples; what a layer throws is a
// failed check. check_layer() is the same with the layer's own type.
LayerReport check_any_layer(const MakeLayer& make, const CallLayer& call,
                            const std::vector<LayerSample>& samples, const LayerTags& tags);

template <class Make, class Call>
LayerReport check_layer(const Make& make, const Call& call, const std::vector<LayerSample>& samples,
                        const LayerTags& tags = {}) {
  using Layer = typename decltype(make(std::declval<Generator&>()))::element_type;
  const auto call_it = [&call](const Module& layer, const LayerSample& sample) {
    return call(dynamic_cast<const Layer&>(layer), sample);
  };
  return check_any_layer(make, call_it, samples, tags);
}

}  // namespace gradwalk
