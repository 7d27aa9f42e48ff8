// Blocks that are kept and used again.
#include <algorithm>
#include <cstring>

#include "core/core.hpp"
#include "core/machine/memory.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/child.hpp"

using namespace gradwalk;

namespace {

constexpr std::size_t kMegabyte = 1 << 20;

// Allocates n blocks and writes them, so that they are resident.
std::vector<void*> written_blocks(std::size_t n, std::size_t bytes) {
  std::vector<void*> blocks(n);
  for (void*& block : blocks) block = std::memset(allocate(bytes), 1, bytes);
  return blocks;
}

void deallocate_all(const std::vector<void*>& blocks, std::size_t bytes) {
  for (void* block : blocks) deallocate(block, bytes);
}

}  // namespace

TEST_CASE("a large block is handed out again, and given back on request", "[memory]") {
  release_memory();
  const MemoryUse before = memory_use();
  CHECK(before.kept == 0);
  void* block = allocate(100000);
  CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
  const std::size_t size = memory_use().in_use - before.in_use;
  CHECK(size >= 100000);
  CHECK(size <= 112500);
  deallocate(block, 100000);
  CHECK(memory_use().in_use == before.in_use);
#ifndef GRADWALK_SANITIZE
  CHECK(memory_use().kept == size);
  void* again = allocate(99999);  // nearly the same size
  CHECK(again == block);
  CHECK(memory_use().kept == 0);
  deallocate(again, 99999);
#endif
  release_memory();
  CHECK(memory_use().kept == 0);
  deallocate(allocate(1000), 1000);  // small ones do not count
  CHECK(memory_use().kept == 0);
  CHECK(memory_use().in_use == before.in_use);
}

TEST_CASE("blocks of every size are large enough and count as one size", "[memory]") {
  for (std::size_t bytes = 1 << 15; bytes < (1 << 22); bytes += bytes / 23 + 1) {
    const std::size_t before = memory_use().in_use;
    char* block = static_cast<char*>(allocate(bytes));
    const std::size_t size = memory_use().in_use - before;
    CHECK(size >= bytes);
    CHECK(size <= bytes + bytes / 8 + 64);
    block[0] = block[bytes - 1] = 1;
    CHECK(reinterpret_cast<std::uintptr_t>(block) % (bytes < (2 << 20) ? 64 : 2 << 20) == 0);
    deallocate(block, bytes);
    CHECK(memory_use().in_use == before);
  }
  release_memory();
}

TEST_CASE("what is held never exceeds twice what was once in use", "[memory]") {
  for (std::size_t bytes = 1 << 16; bytes < (1 << 21); bytes += 1 << 16) {
    deallocate(allocate(bytes), bytes);
    const MemoryUse use = memory_use();
    CHECK(use.in_use + use.kept <= 2 * use.peak);
  }
  release_memory();
}

TEST_CASE("the peak is the most that was in use at once", "[memory]") {
  const std::size_t first = memory_use().peak + kMegabyte;  // more than ever before
  void* block = allocate(first);
  const std::size_t peak = memory_use().peak;
  CHECK(peak == memory_use().in_use);
  void* another = allocate(kMegabyte);
  CHECK(memory_use().peak == peak + kMegabyte);
  deallocate(another, kMegabyte);
  deallocate(block, first);
  deallocate(allocate(kMegabyte), kMegabyte);
  CHECK(memory_use().peak == peak + kMegabyte);
  release_memory();
}

TEST_CASE("more than there is: bad_alloc", "[memory]") {
  CHECK_THROWS_AS(allocate(static_cast<std::size_t>(-1) - 8), std::bad_alloc);
  CHECK_THROWS_AS(Allocator<double>().allocate(static_cast<std::size_t>(-1) / 4), std::bad_alloc);
}

#ifdef GRADWALK_POISON
TEST_CASE("fresh memory is full of NaN, and of ids that no table has", "[memory]") {
  for (std::size_t n : {1, 33, 5000, 300000}) {
    for (int time = 0; time < 2; ++time) {  // new, and used again
      Array numbers = empty({n});
      Indices ids = empty<Indices>({n});
      CHECK(std::all_of(numbers.begin(), numbers.end(), [](Real x) { return std::isnan(x); }));
      if (n > 1)  // xtensor makes a single id before it knows the shape, as 0
        CHECK(std::count(ids.begin(), ids.end(), -1) == static_cast<std::ptrdiff_t>(n));
      numbers.fill(1);
      ids.fill(1);
    }
  }
}
#endif

// Sanitizers keep nothing, and their memory cannot be limited.
#if !defined(GRADWALK_SANITIZE) && !defined(__SANITIZE_THREAD__)
TEST_CASE("blocks of several sizes are kept until they exceed twice the peak", "[memory]") {
  // the halves of a step, never in use at once
  const std::size_t first = memory_use().peak + kMegabyte, second = first / 16 * 13;
  release_memory();
  void* blocks[2];
  for (int step = 0; step < 2; ++step) {
    for (int half = 0; half < 2; ++half) {
      const std::size_t bytes = half == 0 ? first : second;
      void* block = allocate(bytes);
      if (step == 1) CHECK(block == blocks[half]);
      blocks[half] = block;
      deallocate(block, bytes);
    }
    CHECK(memory_use().kept >= first + second);
  }

  const std::size_t large = 2 * memory_use().peak;
  bool released = false;
  for (const std::size_t size : {large, large / 4 * 3, large / 2, large / 8 * 3}) {
    const std::size_t before = memory_use().kept;
    deallocate(allocate(size), size);
    CHECK(memory_use().kept >= size);
    released |= memory_use().kept < before;
  }
  CHECK(released);
  release_memory();
}

TEST_CASE("freed memory returns to the system on request, large blocks and small ones",
          "[memory]") {
  if (tests::pages().resident == 0) {
    WARN("skipped: no /proc/self/statm");
    return;
  }
  for (std::size_t bytes : {std::size_t{400}, kMegabyte}) {
    release_memory();
    const std::size_t before = tests::pages().resident;
    const std::vector<void*> blocks = written_blocks(40 * kMegabyte / bytes, bytes);
    void* last = allocate(bytes);  // the system gives up the end of its heap of its own accord
    CHECK(tests::pages().resident > before + 39 * kMegabyte);
    deallocate_all(blocks, bytes);
    if (bytes == kMegabyte) CHECK(tests::pages().resident > before + 39 * kMegabyte);
    release_memory();
    CHECK(tests::pages().resident < before + 8 * kMegabyte);
    deallocate(last, bytes);
  }
}

TEST_CASE("zeros of every size are zeros, and small blocks share pages", "[memory]") {
  for (std::size_t bytes : {std::size_t{8}, std::size_t{1000}, kMegabyte}) {
    deallocate_all(written_blocks(100, bytes), bytes);  // what is used again must be cleared
    std::vector<char*> blocks(100);
    std::size_t at_page = 0;  // how many blocks start a page, as each map does
    for (char*& block : blocks) {
      block = static_cast<char*>(map_zeros(bytes));
      CHECK(std::all_of(block, block + bytes, [](char c) { return c == 0; }));
      at_page += reinterpret_cast<std::uintptr_t>(block) % 4096 == 0;
    }
    if (bytes == 8) CHECK(at_page < 50);  // 100 parameters of one number
    for (char* block : blocks) unmap_zeros(block, bytes);
  }
  release_memory();
}

TEST_CASE("where memory is short, what is kept is given up before an allocation fails",
          "[memory][fork]") {
  if (tests::pages().mapped == 0) {
    WARN("skipped: no /proc/self/statm");
    return;
  }
  const std::size_t large = 40 * kMegabyte;  // too large for malloc to reuse
  const auto keep_and_limit = [=] {          // two are kept, and 16 MB more may be mapped
    release_memory();
    deallocate_all(written_blocks(2, large), large);
    return memory_use().kept >= 2 * large && tests::limit_memory(16 * kMegabyte);
  };
  CHECK(tests::in_child([=] {
    return keep_and_limit() && allocate(2 * large) != nullptr && memory_use().kept == 0;
  }));
  CHECK(tests::in_child([=] {
    if (!keep_and_limit()) return false;
    while (memory_use().kept > 0) allocate(400);
    return true;
  }));
  CHECK(tests::in_child([=] {
    const std::size_t in_use = memory_use().in_use;
    int failed = 0;
    if (!keep_and_limit()) return false;
    for (auto f : {allocate, map_zeros}) {
      try {
        f(1 << 30);
      } catch (const std::bad_alloc&) {
        ++failed;
      }
    }
    return failed == 2 && memory_use().in_use == in_use;
  }));
}

TEST_CASE("from its second step on training asks the system for no large block", "[memory]") {
  Generator g(1);
  Embedding embedding(3000, 64, g);
  LSTM lstm(64, 64, g);
  Linear head(64, 2, g);
  std::vector<Tensor> parameters;
  for (Module* m : {static_cast<Module*>(&embedding), static_cast<Module*>(&lstm),
                    static_cast<Module*>(&head)}) {
    for (const Tensor& p : m->parameters()) parameters.push_back(p);
  }
  Adam adam(parameters);
  const Indices ids = full<Indices>({20, 32}, 7), targets = full<Indices>({32}, 1);
  std::size_t total = 0;
  for (int step = 0; step < 4; ++step) {
    adam.zero_grad();
    backward(softmax_cross_entropy(head(lstm(embedding(ids)).last), targets));
    adam.step();
    const MemoryUse use = memory_use();
    if (step > 1) CHECK(use.in_use + use.kept == total);
    total = use.in_use + use.kept;
  }
}

TEST_CASE("an allocation that fails says how much was asked for", "[memory]") {
  for (auto f : {allocate, map_zeros}) {
    CHECK(error_of<OutOfMemory>([&] { f(std::size_t{1} << 60); }) ==
          "out of memory: 1152921504606846976 bytes were asked for");
  }
}

// Memory that runs out anywhere, and at any point, ends in an exception; destructors go through.
TEST_CASE("a training step that runs out of memory throws", "[memory][fork]") {
  if (tests::pages().mapped == 0) {
    WARN("skipped: no /proc/self/statm");
    return;
  }
  for (const std::size_t megabytes : {1, 4, 16, 48, 80}) {
    INFO(megabytes << " MB");
    CHECK(tests::in_child([=] {
      set_num_threads(2);
      Generator g(1);
      const Linear layer(1000, 1000, g);
      Adam adam(layer.parameters(), {});
      const Tensor small(normal({10, 1000}, g)), large(normal({8000, 1000}, g));
      backward(mean(layer(small)));  // threads and libraries have started
      adam.step();
      if (!tests::limit_memory(megabytes * kMegabyte)) return false;
      for (int i = 0; i < 2; ++i) {
        try {
          for (;;) backward(mean(tanh(layer(tanh(layer(large))))));
        } catch (const std::bad_alloc&) {
        }
      }
      adam.zero_grad();
      return true;
    }));
  }
}

TEST_CASE("graphs and optimizers are destroyed where there is no memory", "[memory][fork]") {
  if (tests::pages().mapped == 0) {
    WARN("skipped: no /proc/self/statm");
    return;
  }
  // Takes all there is, in ever smaller blocks: malloc keeps lists by size.
  const auto use_up = [] {
    if (!tests::limit_memory(0)) return false;
    for (std::size_t bytes = 1 << 20; bytes >= 16; bytes -= bytes > 2048 ? bytes / 2 : 16)
      while (std::malloc(bytes) != nullptr) continue;
    return true;
  };
  CHECK(tests::in_child([=] {
    auto x = std::make_unique<Tensor>(full({1}, 1), true);
    for (int i = 0; i < 5; ++i) *x = *x + Real(1);
    if (!use_up()) return false;
    x.reset();
    return true;
  }));
  CHECK(tests::in_child([=] {
    Tensor table(full({50, 4}, 1), true);
    AdamOptions options;
    options.policy = SparsePolicy::kExact;
    auto adam = std::make_unique<Adam>(ParamGroups{table}, options);
    for (std::int64_t row = 0; row < 40; ++row) {
      table.mutable_grad() = RowSparse{{row}, Tensor(full({1, 4}, 1)), 50};
      adam->step();
    }
    if (!use_up()) return false;
    adam.reset();
    return true;
  }));
}
#endif
