#include "core/machine/threads.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
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
    } catch (const std::system_error&) {
      // The system has no more threads: there are fewer helpers then.
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
      open_ = true;
      ++round_;
    }
    for (std::size_t i = 1; i < parts; ++i) wake_.notify_one();
    work();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      open_ = false;  // who has not come by now is not waited for
    }
    for (int i = 0; busy_ > 0; ++i) pause(i);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  // A step hands over work every few microseconds: falling asleep at once would cost more than it.
  static constexpr int kSpins = 4000;
  static void pause(int turn) {
    if (turn < kSpins) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    } else {
      std::this_thread::yield();
    }
  }

  void help() {
    for (std::size_t seen = 0;;) {
      for (int i = 0; i < kSpins && round_ == seen; ++i) pause(i);
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
        if (!error_) error_ = std::current_exception();
      }
    }
    inside = false;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::size_t> round_{0}, next_{0}, busy_{0};
  bool stop_ = false, open_ = false;  // these and what follows change under the mutex
  const std::function<void(std::size_t)>* f_ = nullptr;
  std::size_t parts_ = 0;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

std::size_t threads_at_first() {
  if (const char* asked = std::getenv("GRADWALK_NUM_THREADS")) {
    char* end = nullptr;
    const unsigned long n = std::strtoul(asked, &end, 10);
    check(end != asked && *end == '\0' && n >= 1 && n <= kMost && *asked != '-',
          "GRADWALK_NUM_THREADS: must be a number from 1 to ", kMost, ", got ", in_quotes(asked));
    return n;
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

std::size_t& threads() {
  static std::size_t n = threads_at_first();
  return n;
}

std::mutex pool_mutex;  // threads of the user's own take turns
std::unique_ptr<Pool> pool;

}  // namespace

std::size_t num_threads() { return threads(); }

void set_num_threads(std::size_t n) {
  check(n >= 1 && n <= kMost, "set_num_threads: must be from 1 to ", kMost, ", got ", n);
  check<std::logic_error>(!inside, "set_num_threads: not inside a part of parallel()");
  const std::lock_guard<std::mutex> lock(pool_mutex);
  pool = nullptr;
  threads() = n;
}

bool in_parallel() { return inside; }

void parallel(std::size_t parts, const std::function<void(std::size_t)>& f) {
  if (inside || parts <= 1 || num_threads() == 1) {
    for (std::size_t part = 0; part < parts; ++part) f(part);
    return;
  }
  const std::lock_guard<std::mutex> lock(pool_mutex);
  if (!pool) pool = std::make_unique<Pool>(num_threads() - 1);
  pool->run(parts, f);
}

}  // namespace gradwalk
