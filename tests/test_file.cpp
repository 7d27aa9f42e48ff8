// Files that are written whole or not at all, whoever else writes them and is killed meanwhile.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "core/file.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace gradwalk;
namespace fs = std::filesystem;

namespace {

void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}
unsigned mode_of(const std::string& path) {
  struct stat status;
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("what killed writers have left goes, what another one writes stays", "[file]") {
  const tests::Folder folder;
  const std::string file = folder / "model";
  for (int i = 0; i < 4; ++i) put(file + '.' + std::to_string(i) + ".tmp", "half");
  put(file + ".tmp", "not ours");
  put(folder / "other.0.tmp", "of another file");
  write_file(file, "whole");
  CHECK(text_of(file) == "whole");
  CHECK(folder.files() == 3);

  const std::string taken = file + ".0.tmp";
  put(taken, "being written");
  const int fd = open(taken.c_str(), O_RDONLY);
  REQUIRE(flock(fd, LOCK_EX) == 0);
  put(file + ".1.tmp", "half");
  write_file(file, "again");
  CHECK(text_of(file) == "again");
  CHECK(text_of(taken) == "being written");
  CHECK(folder.files() == 4);
  close(fd);

  if (geteuid() == 0) {
    REQUIRE(chown(taken.c_str(), 1234, 2345) == 0);
    write_file(file, "once more");
    CHECK(text_of(taken) == "being written");  // another user's
  }

  fs::remove(taken);
  fs::create_symlink("target", taken);  // must not lead the writer elsewhere
  fs::create_directory(file + ".1.tmp");
  write_file(file, "third");
  CHECK(text_of(file) == "third");
  CHECK_FALSE(fs::exists(folder / "target"));
  CHECK(folder.files() == 5);
}

TEST_CASE("a writer that is killed leaves the file as it was, and the next one cleans up",
          "[file]") {
  const tests::Folder folder;
  const std::string file = folder / "model";
  write_file(file, "before");
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    write_file(file, [](const File& out) {
      out.write("half", 4);
      raise(SIGKILL);
    });
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(text_of(file) == "before");
  CHECK(folder.files() == 2);
  check_writable(file);
  CHECK(folder.files() == 1);
}

TEST_CASE("writers at the same time do not disturb each other", "[file][threads]") {
  const tests::Folder folder;
  const std::string file = folder / "model";
  std::vector<std::thread> writers;
  for (char letter : {'a', 'b', 'c', 'd'}) {
    writers.emplace_back([&, letter] {
      for (int k = 0; k < 50; ++k) write_file(file, std::string(10000, letter));
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::string text = text_of(file);
  CHECK(text == std::string(10000, text[0]));
  CHECK(folder.files() == 1);
}

TEST_CASE("a file that is replaced keeps its mode, its owner and the links to it", "[file]") {
  const tests::Folder folder;
  const std::string file = folder / "model", link = folder / "link";
  const mode_t mask = umask(022);
  write_file(file, "new");
  CHECK(mode_of(file) == 0644);
  for (unsigned mode : {0600u, 0640u, 0666u, 0444u}) {
    REQUIRE(chmod(file.c_str(), mode) == 0);
    unsigned meanwhile = 0;
    write_file(file, [&](const File& out) {
      meanwhile = mode_of(file + ".0.tmp");
      out.write("x", 1);
    });
    CHECK(meanwhile == 0600);
    CHECK(mode_of(file) == mode);
  }
  umask(mask);
  if (geteuid() == 0) {
    REQUIRE(chown(file.c_str(), 1234, 2345) == 0);
    write_file(file, "another user's");
    struct stat status;
    REQUIRE(stat(file.c_str(), &status) == 0);
    CHECK(status.st_uid == 1234);
    CHECK(status.st_gid == 2345);
  }
  fs::create_directory(folder / "deep");
  fs::create_symlink("../model", folder / "deep/link");
  fs::create_symlink("deep/link", link);
  write_file(link, "through links");
  CHECK(fs::is_symlink(link));
  CHECK(fs::is_symlink(folder / "deep/link"));
  CHECK(text_of(file) == "through links");
  fs::remove(file);
  write_file(link, "where nothing was");
  CHECK(fs::is_symlink(link));
  CHECK(text_of(file) == "where nothing was");
  fs::create_symlink("circle", folder / "circle");
  CHECK_THROWS_AS(write_file(folder / "circle", "x"), FileError);
}
