// What load_state_dict() takes: the state of a run, in which numbers are the input's.
#include <cmath>
#include <cstring>

#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/training.hpp"

namespace {

using gradwalk::StateDict;
using gradwalk::StateValues;

StateValues values_of(const StateDict& state) {
  StateValues values;
  for (const auto& [name, tensor] : state)
    values.emplace(name, gradwalk::Array(tensor.node()->value));  // nothing catches up by that
  return values;
}

bool same(const StateValues& a, const StateValues& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && fuzz::same_bits(x.second, y.second);
  });
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  bool empty() const { return end_ - at_ < 2; }
  std::uint16_t next() {
    if (empty()) return 0;
    std::uint16_t x;
    std::memcpy(&x, at_, 2);
    at_ += 2;
    return x;
  }

 private:
  const std::uint8_t *at_, *end_;
};

// With numbers of the input's: of 16 bits, as what is more than a Real is kept, or any others. It
// may lack an entry, or have one of another shape.
StateValues changed(StateValues values, Input& in) {
  const std::uint16_t how = in.next();
  for (auto& entry : values) {
    for (std::size_t i = 0; i < entry.second.size() && !in.empty(); ++i) {
      const std::uint16_t x = in.next();
      entry.second.data()[i] = how % 2 == 0
                                   ? gradwalk::Real(x)
                                   : std::ldexp(gradwalk::Real(x) - 32768, int(x % 512) - 256);
    }
  }
  if (how / 4 % 64 < values.size()) {
    const auto entry = std::next(values.begin(), how / 4 % 64);
    if (how & 2)
      values.erase(entry);
    else
      entry->second = gradwalk::full({how / 256u % 4, 4}, 1);
  }
  return values;
}

template <class Part, class Load>
void check(const Part& part, Input& in, const Load& load) {
  const StateValues before = values_of(part.state_dict()), values = changed(before, in);
  if (!fuzz::takes<std::logic_error>([&] { load(values); })) {
    fuzz::require(same(values_of(part.state_dict()), before),
                  "what is refused must change nothing");
    return;
  }
  const StateValues first = values_of(part.state_dict());
  load(first);
  fuzz::require(same(values_of(part.state_dict()), first), "a state must be read back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Training training;
  Input in(data, size);
  const auto check_part = [&](auto& part) {
    check(part, in, [&](const StateValues& values) { part.load_state_dict(values); });
  };
  check_part(training.generator);
  check_part(training.schedule);
  check_part(training.plateau);
  check_part(training.optimizer);
  check(training.report, in, [&](const StateValues& values) {
    training.report.load_state_dict(training.report.figures(), values);
  });
  check_part(training.model);
  training.step(3);
  return 0;
}
