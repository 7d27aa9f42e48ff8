#include "core/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/error.hpp"
#include "core/text.hpp"

namespace gradwalk {
namespace {

// So that the new name survives a power cut. The file is written by then: a folder that may not be
// read is no failure.
void flush_folder(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

File::File(const std::string& path, int flags, const std::string& name)
    : path_(name.empty() ? path : name), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
  if (fd_ < 0) fail(flags & O_CREAT ? "cannot be written" : "cannot be opened");
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

void File::fail(const char* what) const {
  throw FileError(message(path_, ": ", what, ": ", std::strerror(errno)));
}

std::uint64_t File::size() const {
  struct stat status;
  if (::fstat(fd_, &status) != 0) fail("cannot be examined");
  check<FileError>(S_ISREG(status.st_mode), path_, ": must be a regular file");
  return static_cast<std::uint64_t>(status.st_size);
}

std::size_t File::read_some(void* to, std::size_t n) const {
  ssize_t got = 0;
  do {
    got = ::read(fd_, to, n);
  } while (got < 0 && errno == EINTR);
  if (got < 0) fail("cannot be read");
  return static_cast<std::size_t>(got);
}

void File::read(void* to, std::size_t n) const {
  for (char* at = static_cast<char*>(to); n > 0;) {
    const std::size_t got = read_some(at, n);
    check<FileError>(got > 0, path_, ": ended while it was being read");
    at += got;
    n -= got;
  }
}

void File::write(const void* from, std::size_t n) const {
  for (const char* at = static_cast<const char*>(from); n > 0;) {
    const ssize_t put = ::write(fd_, at, n);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot be written");
    at += put;
    n -= static_cast<std::size_t>(put);
  }
}

void File::flush() const {
  if (::fsync(fd_) != 0) fail("cannot be flushed to the disk");
}

File open_to_read(const std::string& path) {
  return File(path, O_RDONLY | O_NONBLOCK);  // or a fifo would make us wait
}

void write_file(const std::string& path, const std::function<void(const File&)>& write) {
  namespace fs = std::filesystem;
  std::error_code none;
  const bool exists = fs::exists(path, none);
  check<FileError>(!fs::is_directory(path, none), path, ": is a directory, not a file");
  check<FileError>(!exists || fs::is_regular_file(path, none), path, ": must be a regular file");
  const std::string target = exists ? fs::canonical(path).string() : path;  // of a link, its target
  // A name of this writer's own: another may be writing the same file.
  static std::atomic<unsigned> count{0};
  const std::string temporary = message(target, '.', ::getpid(), '.', ++count, ".tmp");
  try {
    const File file(temporary, O_WRONLY | O_CREAT | O_EXCL, path);
    write(file);
    file.flush();
    if (::rename(temporary.c_str(), target.c_str()) != 0)
      throw FileError(message(path, ": cannot be replaced: ", std::strerror(errno)));
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  flush_folder(target);
}

void write_file(const std::string& path, const std::string& text) {
  write_file(path, [&](const File& file) { file.write(text.data(), text.size()); });
}

void check_writable(const std::string& path) {
  struct Opened {};
  try {
    write_file(path, [](const File&) { throw Opened(); });
  } catch (const Opened&) {  // the temporary file is gone again
  }
}

void write_page(const std::string& path, std::string page, const std::string& place,
                const std::string& json) {
  std::string data;
  for (char c : json) data += c == '<' ? "\\u003c" : std::string(1, c);
  write_file(path, page.replace(page.find(place), place.size(), data));
}

}  // namespace gradwalk
