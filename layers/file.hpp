// Files that are read and written whole or not at all. Throws FileError with the path and the
// system's reason.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace gradwalk {

// An open file that closes itself.
class File {
 public:
  File(const std::string& path, int flags);  // open(2)'s
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::uint64_t size() const;                            // of a regular file; others are refused
  void read(void* to, std::size_t n) const;              // exactly n bytes
  std::size_t read_some(void* to, std::size_t n) const;  // 1 to n bytes, 0 at the end
  void write(const void* from, std::size_t n) const;
  void flush() const;  // to the disk

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_;
  int fd_;
};

// To read a regular file.
File open_to_read(const std::string& path);

// All or nothing: `write` fills `path`.tmp, which is flushed to the disk and renamed.
void write_file(const std::string& path, const std::function<void(const File&)>& write);

}  // namespace gradwalk
