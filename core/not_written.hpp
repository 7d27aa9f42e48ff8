// For the files that ./run new writes: the line that is still to be written.
#pragma once

#include <stdexcept>
#include <string>

namespace gradwalk {

// What is missing, and where the call stands.
struct NotWritten {
  NotWritten(const char* missing, const char* path = __builtin_FILE(), int at = __builtin_LINE())
      : what(missing), file(path), line(at) {}
  const char *what, *file;
  int line;
};

// Throws "core/ops/mish.cpp:14: the rule of mish is not written yet". `what_there_is` may be used
// by what will stand there; until then it keeps compilers from calling it unused.
template <class... Args>
[[noreturn]] void not_written(const NotWritten& here, const Args&... /*what_there_is*/) {
  // compiled from one folder: what is before core/ in this file's path is before all paths
  const std::size_t folder = sizeof(__FILE__) - sizeof("core/not_written.hpp");
  throw std::logic_error(std::string(here.file).substr(folder) + ':' + std::to_string(here.line) +
                         ": " + here.what + " is not written yet");
}

}  // namespace gradwalk
