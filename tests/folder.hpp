// A folder of its own for each test case, gone at its end.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

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

}  // namespace tests
