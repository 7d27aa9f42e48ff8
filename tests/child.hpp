// What only a process of its own can show: fork(), limits, the environment.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "tests/catch.hpp"

namespace tests {

// Did f return true in a forked child, and did the child then end by exit(), all in 30 seconds?
template <class F>
bool in_child(const F& f) {
  std::cout.flush();
  std::fflush(nullptr);  // or the child would write it again
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(30);
    bool ok = false;
    try {
      ok = f();
    } catch (...) {
    }
    std::exit(ok ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct Pages {
  std::size_t mapped = 0, resident = 0;  // bytes; 0 where the system does not say
};
inline Pages pages() {
  Pages p;
  std::ifstream("/proc/self/statm") >> p.mapped >> p.resident;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return {p.mapped * page, p.resident * page};
}

// This process may map `bytes` more, and no more after that.
inline bool limit_memory(std::size_t bytes) {
  const rlimit limit{pages().mapped + bytes, RLIM_INFINITY};
  return setrlimit(RLIMIT_AS, &limit) == 0;
}

}  // namespace tests
