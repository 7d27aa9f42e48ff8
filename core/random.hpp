// A seeded generator whose numbers are the same on every machine: the standard library's
// distributions are not.
#pragma once

#include <vector>

#include "core/state.hpp"

namespace gradwalk {

// SplitMix64 (Steele, Lea, Flood 2014): the state is a counter, each number is a hash of it.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : state_(seed) {}

  std::uint64_t next();                             // 64 random bits
  double uniform();                                 // in [0, 1), 53 random bits
  double normal();                                  // mean 0, variance 1 (Box and Muller 1958)
  std::size_t below(std::size_t n);                 // in [0, n), n >= 1
  void shuffle(std::vector<std::size_t>& v);        // Fisher and Yates
  StateDict state_dict() const;                     // "state"
  void load_state_dict(const StateValues& values);  // or std::invalid_argument

 private:
  std::uint64_t state_;
};

// Arrays of a shape, filled in order: ~ U(low, high), and ~ N(0, 1). All throw std::length_error
// where size_of(shape) does.
Array uniform(const Shape& shape, Real low, Real high, Generator& generator);
Array normal(const Shape& shape, Generator& generator);
// ~ U(-1/sqrt(fan_in), 1/sqrt(fan_in)): the initial weights of a layer whose sums have fan_in terms
Array uniform_fan_in(const Shape& shape, std::size_t fan_in, Generator& generator);

}  // namespace gradwalk
