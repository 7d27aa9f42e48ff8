// How a failed check reads: "op: what was required, got what; hint", with shapes in brackets.
// std::invalid_argument, std::out_of_range, std::length_error   a wrong value, index or size
// std::logic_error, the base of all three                       misuse of the graph
#pragma once

#include <sstream>
#include <stdexcept>

#include "core/array.hpp"

namespace gradwalk {
// A shape as messages show it: [2, 3]. By to_string: a locale may write 1000 as 1.000.
inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (std::size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << std::to_string(shape[i]);
  return out << ']';
}

// message("matmul: ", a, " and ", b) joins its parts into one string.
template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  out.imbue(std::locale::classic());  // 1000 is not 1,000 anywhere
  (out << ... << parts);
  return out.str();
}

template <class Error = std::invalid_argument, class... Parts>
void check(bool ok, const Parts&... parts) {
  if (!ok) throw Error(message(parts...));
}

}  // namespace gradwalk
