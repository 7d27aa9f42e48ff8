// What tests of files share: a folder of its own for each test case, gone at its end, and damage.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "core/random.hpp"

namespace tests {

class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("gradwalk_tests_" + std::to_string(getpid()) + "_" + std::to_string(++count_))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  static inline int count_ = 0;
  std::filesystem::path path_;
};

// The bytes after one to four changes: some are erased, one of `letters` is inserted, or a byte
// becomes any other.
inline std::string damaged(std::string bytes, const std::string& letters, gradwalk::Generator& g) {
  for (std::size_t k = 1 + g.below(4); k > 0; --k) {
    const std::size_t at = g.below(bytes.size());
    if (g.below(3) == 0) {
      bytes.erase(at, g.below(5));
    } else if (g.below(2) == 0) {
      bytes.insert(at, 1, letters[g.below(letters.size())]);
    } else {
      bytes[at] = char(g.below(256));
    }
  }
  return bytes;
}

}  // namespace tests
