#include "core/state.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.hpp"
#include "core/text.hpp"

namespace gradwalk {

void add_part(StateDict& state, const std::string& prefix, const StateDict& part) {
  for (const auto& [name, tensor] : part) state.emplace_back(prefix + '.' + name, tensor);
}

StateValues take_part(StateValues& values, const std::string& prefix) {
  StateValues part;
  const std::string start = prefix + '.';
  for (auto at = values.lower_bound(start);
       at != values.end() && at->first.compare(0, start.size(), start) == 0;) {
    auto entry = values.extract(at++);
    entry.key().erase(0, start.size());
    part.insert(std::move(entry));
  }
  return part;
}

NamedShapes shapes_of(const StateDict& state) {
  NamedShapes shapes;
  for (const auto& [name, tensor] : state) shapes.emplace_back(name, tensor.shape());
  return shapes;
}

void check_values(const char* whose, const NamedShapes& expected, const StateValues& values) {
  constexpr std::size_t kMost = 2000;  // bytes: there may be thousands of names
  std::string problems;
  std::map<std::string, const Array*> unexpected;
  for (const auto& [name, value] : values) unexpected.emplace(name, &value);
  for (const auto& [name, shape] : expected) {
    const auto found = values.find(name);
    if (found == values.end()) {
      problems += message("; missing ", in_quotes(name), ' ', shape);
    } else if (found->second.shape() != shape) {
      problems +=
          message("; ", in_quotes(name), " must be ", shape, ", got ", found->second.shape());
    }
    unexpected.erase(name);
  }
  for (const auto& entry : unexpected)
    problems += message("; unexpected ", in_quotes(entry.first), ' ', entry.second->shape());
  if (problems.size() > kMost) problems = problems.substr(0, kMost) + "...";
  check(problems.empty(), "load_state_dict: names and shapes must match ", whose, problems);
}

Tensor bits_of_counts(const std::vector<std::uint64_t>& counts) {
  Array bits = empty({counts.size(), 4});
  for (std::size_t i = 0; i < bits.size(); ++i)
    bits.data()[i] = static_cast<Real>(counts[i / 4] >> (16 * (i % 4)) & 0xffff);
  return Tensor(std::move(bits));
}

Tensor bits_of_doubles(const std::vector<double>& numbers) {
  std::vector<std::uint64_t> counts(numbers.size());
  if (!numbers.empty()) std::memcpy(counts.data(), numbers.data(), 8 * numbers.size());
  return bits_of_counts(counts);
}

std::vector<std::uint64_t> counts_of(const char* op, const Array& bits) {
  check(bits.dimension() == 2 && bits.shape(1) == 4, op,
        ": 64 bits must be four numbers of 16, got ", bits.shape());
  std::vector<std::uint64_t> counts(bits.shape(0));
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const Real part = bits.data()[i];
    check(part >= 0 && part <= 0xffff && part == std::floor(part), op,
          ": 64 bits must be four numbers of 16, got ", part);
    counts[i / 4] |= static_cast<std::uint64_t>(part) << (16 * (i % 4));
  }
  return counts;
}

std::vector<double> doubles_of(const char* op, const Array& bits) {
  const std::vector<std::uint64_t> counts = counts_of(op, bits);
  std::vector<double> numbers(counts.size());
  if (!numbers.empty()) std::memcpy(numbers.data(), counts.data(), 8 * counts.size());
  return numbers;
}

}  // namespace gradwalk
