// Errors about text and files that others have written.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace gradwalk {

// A file that cannot be read, trusted or written.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// 'text', for a message: at most its first 60 bytes, with control characters as ?.
inline std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (char c : text.substr(0, 60)) out += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return out + (text.size() > 60 ? "...'" : "'");
}

}  // namespace gradwalk
