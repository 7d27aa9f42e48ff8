#include "core/machine/threads.hpp"

#include <pthread.h>

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/error.hpp"
#include "core/text.hpp"

namespace gradwalk {
namespace {

constexpr std::size_t kMost = 1024;
thread_local bool inside = false;

class Pool {
 public:
  explicit Pool(std::size_t helpers) {
    try {
      for (std::size_t i = 0; i < helpers; ++i) threads_.emplace_back([this] { help(); });
    } catch (const std::exception&) {
      // No more threads, or no memory for them: fewer helpers will do.
    }
  }
  ~Pool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      ++round_;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void run(std::size_t parts, const std::function<void(std::size_t)>& f) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      f_ = &f;
      parts_ = parts;
      next_ = 0;
      error_ = nullptr;
      failed_ = parts;
      open_ = true;
      ++round_;
    }
    for (std::size_t i = 1; i < parts; ++i) wake_.notify_one();
    work();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      open_ = false;  // helpers that have not woken up yet are no longer needed
    }
    for (std::size_t i = 0; busy_ > 0; ++i) pause(i);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  // A training step hands over work every few microseconds: waking up would take longer than that.
  static constexpr std::size_t kSpins = 4000;
  static void pause(std::size_t turn) {
    if (turn < kSpins) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    } else {
      std::this_thread::yield();
    }
  }

  void help() {
    // Signals are for the threads of the program, except those that an instruction raises.
    sigset_t others;
    sigfillset(&others);
    for (int its_own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&others, its_own);
    pthread_sigmask(SIG_SETMASK, &others, nullptr);
    for (std::size_t seen = 0;;) {
      for (std::size_t i = 0; i < kSpins && round_ == seen; ++i) pause(i);
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen; });
        seen = round_;
        if (stop_) return;
        if (!open_) continue;
        ++busy_;
      }
      work();
      --busy_;
    }
  }

  void work() {
    inside = true;
    for (std::size_t part; (part = next_++) < parts_;) {
      try {
        (*f_)(part);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (part >= failed_) continue;
        error_ = std::current_exception();
        failed_ = part;
      }
    }
    inside = false;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::size_t> round_{0}, next_{0}, busy_{0};
  // The mutex guards all that follows.
  bool stop_ = false, open_ = false;
  const std::function<void(std::size_t)>* f_ = nullptr;
  std::size_t parts_ = 0;
  std::size_t failed_ = 0;    // the first part that threw,
  std::exception_ptr error_;  // and what it threw
  std::vector<std::thread> threads_;
};

std::size_t threads_at_first() {
  if (const char* asked = std::getenv("GRADWALK_NUM_THREADS")) {
    const char* const end = asked + std::strlen(asked);
    std::size_t n = 0;
    check(std::from_chars(asked, end, n).ptr == end && n >= 1 && n <= kMost,
          "GRADWALK_NUM_THREADS: must be a number from 1 to ", kMost, ", got ", in_quotes(asked));
    return n;
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

std::atomic<std::size_t>& threads() {
  static std::atomic<std::size_t> n{threads_at_first()};
  return n;
}

struct Workers {
  std::mutex mutex;  // several threads of a program may call parallel(): they take turns
  std::unique_ptr<Pool> pool;
  Workers* parents = nullptr;  // of the process that forked: so that no leak is reported
};

// Never destroyed: a program may end while its helpers sleep.
Workers*& workers() {
  static Workers* all = [] {
    // The helpers do not exist in a forked child, and nobody there would unlock the mutex.
    pthread_atfork(nullptr, nullptr, [] { workers() = new Workers{{}, {}, workers()}; });
    return new Workers;
  }();
  return all;
}

}  // namespace

std::size_t num_threads() { return threads(); }

void set_num_threads(std::size_t n) {
  check(n >= 1 && n <= kMost, "set_num_threads: must be from 1 to ", kMost, ", got ", n);
  check<std::logic_error>(!inside, "set_num_threads: not inside a part of parallel()");
  Workers& w = *workers();
  const std::lock_guard<std::mutex> lock(w.mutex);
  w.pool = nullptr;
  threads() = n;
}

bool in_parallel() { return inside; }

void parallel(std::size_t parts, const std::function<void(std::size_t)>& f) {
  const FlushSubnormals flush;  // helpers inherit it, as they are started below
  if (inside || parts <= 1 || num_threads() == 1) {
    for (std::size_t part = 0; part < parts; ++part) f(part);
    return;
  }
  Workers& w = *workers();
  const std::lock_guard<std::mutex> lock(w.mutex);
  if (!w.pool) w.pool = std::make_unique<Pool>(num_threads() - 1);
  w.pool->run(parts, f);
}

}  // namespace gradwalk
