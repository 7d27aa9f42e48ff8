// Files that are read and written whole or not at all. Throws FileError with the path and the
// system's reason.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/text.hpp"

namespace gradwalk {

// An open file that closes itself. Errors speak of its path.
class File {
 public:
  // flags are open(2)'s.
  File(const std::string& path, int flags);
  File(int fd, const std::string& path);  // takes it over
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::uint64_t size() const;                            // of a regular file; others are refused
  void read(void* to, std::size_t n) const;              // exactly n bytes
  std::size_t read_some(void* to, std::size_t n) const;  // 1 to n bytes, 0 at the end
  void write(const void* from, std::size_t n) const;
  void flush() const;  // to the disk
  int fd() const { return fd_; }

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_;
  int fd_;
};

// To read a regular file.
File open_to_read(const std::string& path);

// All or nothing: `write` fills a temporary file beside `path`, path.0.tmp, which is flushed to the
// disk and renamed; one that a killed writer has left goes away. Of several writers at once the
// last one wins. What is there must be a regular file; its mode and owner stay, and a link to it.
void write_file(const std::string& path, const std::function<void(const File&)>& write);
void write_file(const std::string& path, const std::string& text);
// That write_file could begin. Leaves nothing behind.
void check_writable(const std::string& path);

// Writes an HTML page with this JSON in place of `place`, which must occur in it; no text of it can
// end the script.
void write_page(const std::string& path, std::string page, const std::string& place,
                const std::string& json);

}  // namespace gradwalk
