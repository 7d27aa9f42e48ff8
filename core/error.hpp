// How a failed check reads: "op: what was required, got what; hint", with shapes in brackets.
//
// std::invalid_argument, std::out_of_range   a wrong value, shape or index
// std::logic_error                           misuse of the graph
// gradwalk::FileError                        a file that cannot be read, trusted or written
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/array.hpp"

namespace gradwalk {

class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (std::size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ']';
}

// message("matmul: ", a, " and ", b) joins its parts into one string.
template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// 'text' for a message: of foreign text, its first 60 bytes, with control characters as ?.
inline std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (char c : text.substr(0, 60)) out += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return out + (text.size() > 60 ? "...'" : "'");
}

template <class Error = std::invalid_argument, class... Parts>
void check(bool ok, const Parts&... parts) {
  if (!ok) throw Error(message(parts...));
}

}  // namespace gradwalk
