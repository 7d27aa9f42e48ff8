#include "core/random.hpp"

#include <cmath>
#include <utility>

namespace gradwalk {

std::uint64_t Generator::next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Generator::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

double Generator::normal() {
  constexpr double kTwoPi = 6.283185307179586;
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));  // 1 - u is never 0
  return radius * std::cos(kTwoPi * uniform());
}

std::size_t Generator::below(std::size_t n) {
  // Numbers below 2^64 mod n would make the small results likelier: drawn again.
  const std::uint64_t range = n, reject = (0 - range) % range;
  std::uint64_t x = next();
  while (x < reject) x = next();
  return static_cast<std::size_t>(x % range);
}

void Generator::shuffle(std::vector<std::size_t>& v) {
  for (std::size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[below(i)]);
}

StateDict Generator::state_dict() const { return {{"state", bits_of_counts({state_})}}; }

void Generator::load_state_dict(const StateValues& values) {
  check_values("the generator's", {{"state", {1, 4}}}, values);
  state_ = counts_of("load_state_dict", values.at("state"))[0];
}

Array uniform(const Shape& shape, Real low, Real high, Generator& generator) {
  Array a = empty(shape);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a.data()[i] = low + (high - low) * static_cast<Real>(generator.uniform());
  }
  return a;
}

Array normal(const Shape& shape, Generator& generator) {
  Array a = empty(shape);
  for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = static_cast<Real>(generator.normal());
  return a;
}

Array uniform_fan_in(const Shape& shape, std::size_t fan_in, Generator& generator) {
  const Real bound =
      fan_in == 0 ? Real(0) : static_cast<Real>(1 / std::sqrt(static_cast<double>(fan_in)));
  return uniform(shape, -bound, bound, generator);
}

}  // namespace gradwalk
