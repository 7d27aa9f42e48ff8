#include "layers/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/error.hpp"

namespace gradwalk {
namespace {

void flush_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  File(slash == std::string::npos ? "." : path.substr(0, slash + 1), O_RDONLY | O_DIRECTORY)
      .flush();
}

}  // namespace

File::File(const std::string& path, int flags)
    : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
  if (fd_ < 0) fail("cannot be opened");
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
  const std::string temporary = path + ".tmp";
  try {
    File file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    write(file);
    file.flush();
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      throw FileError(message(path, ": cannot be replaced: ", std::strerror(errno)));
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  flush_folder(path);
}

}  // namespace gradwalk
