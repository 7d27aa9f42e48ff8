// What only a process of its own can show: fork(), limits, the environment.
#pragma once

#include <sys/mman.h>
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

// Some kernels have no page of zeros that all who only read can share.
inline bool reading_takes_memory() {
  constexpr std::size_t kBytes = 16 << 20, kPage = 4096;
  void* map = mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(map != MAP_FAILED);
  const std::size_t before = pages().resident;
  for (std::size_t at = 0; at < kBytes; at += kPage) static_cast<volatile char*>(map)[at];
  const bool takes = pages().resident > before + kBytes / 2;
  munmap(map, kBytes);
  return takes;
}

// This process may map `bytes` more, and no more after that.
inline bool limit_memory(std::size_t bytes) {
  const rlimit limit{pages().mapped + bytes, RLIM_INFINITY};
  return setrlimit(RLIMIT_AS, &limit) == 0;
}

}  // namespace tests
