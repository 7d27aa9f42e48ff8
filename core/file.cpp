#include "core/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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

// Where a path leads, through links. A link to nothing leads to what it names.
std::string behind_links(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code none;
  fs::path target = path;
  for (int links = 0; fs::is_symlink(target, none) && links < 40; ++links)
    target = target.parent_path() / fs::read_symlink(target, none);
  check<FileError>(!fs::is_symlink(target, none), path, ": is a link to a link, and so on");
  return target.string();
}

bool is_name_of(int fd, const std::string& name) {
  struct stat open, named;
  return ::fstat(fd, &open) == 0 && ::lstat(name.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

// A writer holds a lock of his temporary file until it is closed: one without was left by a writer
// that was killed. Removes such a leftover of this user's, if it is one.
bool remove_leftover(const std::string& name) {
  const int fd = ::open(name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat status;
  const bool removed = ::flock(fd, LOCK_EX | LOCK_NB) == 0 && is_name_of(fd, name) &&
                       ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                       status.st_uid == ::geteuid() && ::unlink(name.c_str()) == 0;
  ::close(fd);
  return removed;
}

// A new file beside the target, with a lock, and its name. Leftovers go.
File open_temporary(const std::string& path, const std::string& target, mode_t mode,
                    std::string& name) {
  constexpr int kMost = 1000;  // files of that name: writers, and whatever else is in the way
  const auto numbered = [&](int i) { return message(target, '.', i, ".tmp"); };
  int fd = -1;
  for (int i = 0; fd < 0 && i < kMost; ++i) {
    name = numbered(i);
    do {
      fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
      check<FileError>(fd >= 0 || errno == EEXIST, path,
                       ": cannot be written: ", std::strerror(errno));
    } while (fd < 0 && remove_leftover(name));
    // Another writer may have taken it for a leftover, before the lock. (There may be no locks.)
    if (fd >= 0 &&
        ((::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) || !is_name_of(fd, name))) {
      ::close(fd);
      fd = -1;
    }
  }
  check<FileError>(fd >= 0, path, ": cannot be written: ", name, " is in the way");
  struct stat there;
  for (int i = 0; ::lstat(numbered(i).c_str(), &there) == 0; ++i)  // of several that were killed
    remove_leftover(numbered(i));
  return File(fd, path);
}

}  // namespace

File::File(const std::string& path, int flags)
    : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC)) {
  if (fd_ < 0) fail("cannot be opened");
}

File::File(int fd, const std::string& name) : path_(name), fd_(fd) {}

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
  check<FileError>(!fs::is_directory(path, none), path, ": is a directory, not a file");
  const std::string target = behind_links(path);
  struct stat before;
  const bool exists = ::stat(target.c_str(), &before) == 0;
  check<FileError>(!exists || S_ISREG(before.st_mode), path, ": must be a regular file");
  std::string temporary;
  // 0600 where there is a file: nobody may read here what he may not read there.
  const File file = open_temporary(path, target, exists ? 0600 : 0666, temporary);
  try {
    write(file);
    if (exists) {  // only root may give a file away; others keep the group, if it is theirs
      if (::fchown(file.fd(), before.st_uid, before.st_gid) != 0)
        (void)!::fchown(file.fd(), uid_t(-1), before.st_gid);
      ::fchmod(file.fd(), before.st_mode & 07777);
    }
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
