// Programs as their users meet them: command lines in, text and exit codes out.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/catch.hpp"
#include "tests/folder.hpp"

namespace programs {

using tests::Folder;

inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string quoted(const std::string& argument) { return "'" + argument + "'"; }

struct Result {
  int code;
  std::string out, err;
};

// `from`: what the shell makes the standard input of, as in "< file".
inline Result run_with(const std::string& program, const Folder& folder,
                       const std::string& arguments, const std::string& from) {
  const std::string command = quoted(program) + " " + arguments + " " + from + " > " +
                              quoted(folder / "stdout") + " 2> " + quoted(folder / "stderr");
  const int status = std::system(command.c_str());
  REQUIRE(WIFEXITED(status));
  return {WEXITSTATUS(status), read(folder / "stdout"), read(folder / "stderr")};
}

inline Result run(const std::string& program, const Folder& folder, const std::string& arguments,
                  const std::string& input = "") {
  write(folder / "stdin", input);
  return run_with(program, folder, arguments, "< " + quoted(folder / "stdin"));
}

// Runs it until `sign` stands in its output, then sends it a Ctrl-C.
inline Result interrupt(const std::string& program, const Folder& folder,
                        const std::vector<std::string>& arguments, const std::string& sign) {
  const std::string out = folder / "out", err = folder / "err";
  for (const std::string& path : {out, err}) write(path, "");
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(open(out.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
    dup2(open(err.c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  for (int i = 0; i < 600 && read(out).find(sign) == std::string::npos; ++i) usleep(50000);
  kill(child, SIGINT);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  INFO(read(out) << read(err));
  REQUIRE(WIFEXITED(status));
  return {WEXITSTATUS(status), read(out), read(err)};
}

// The command line is refused, and stderr says why.
inline void check_refused(const Result& result, const std::string& text) {
  CHECK(result.code > 1);
  CHECK_THAT(result.err, ContainsText(text));
}

// A Ctrl-C in the first epoch leaves the file at `model` as it was; trained with `arguments`, the
// program writes `sign` before it begins.
inline void check_first_epoch_is_not_saved(const std::string& program, const std::string& name,
                                           const Folder& folder,
                                           const std::vector<std::string>& arguments,
                                           const std::string& model, const std::string& sign) {
  const std::string before = read(model);
  REQUIRE(!before.empty());
  const Result result = interrupt(program, folder, arguments, sign);
  CHECK(result.code == 130);
  CHECK(result.err == name + ": stopped by Ctrl-C before an epoch was over; nothing was saved\n");
  CHECK(read(model) == before);
}

// The result is one line on stderr, `program: ... text ...`.
inline void check_error(const Result& result, const std::string& program, const std::string& text) {
  INFO(result.err);
  CHECK(result.code == 1);
  CHECK_THAT(result.err, ContainsText(text));
  CHECK(result.err.substr(0, program.size() + 2) == program + ": ");
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
}

}  // namespace programs
