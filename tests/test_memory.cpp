// Blocks that are kept and handed out again.
#include <thread>

#include "core/core.hpp"
#include "core/machine/memory.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

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
  CHECK(memory_use().peak >= memory_use().in_use);
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

TEST_CASE("what is kept never exceeds what was once in use", "[memory]") {
  for (std::size_t bytes = 1 << 16; bytes < (1 << 21); bytes += 1 << 16) {
    deallocate(allocate(bytes), bytes);
    CHECK(memory_use().kept <= memory_use().peak);
  }
  release_memory();
}

TEST_CASE("more than there is: bad_alloc", "[memory]") {
  CHECK_THROWS_AS(allocate(static_cast<std::size_t>(-1) - 8), std::bad_alloc);
  CHECK_THROWS_AS(Allocator<double>().allocate(static_cast<std::size_t>(-1) / 4), std::bad_alloc);
}

#ifndef GRADWALK_SANITIZE
TEST_CASE("a small block goes back to the thread that freed it, the last one first", "[memory]") {
  void *first = allocate(400), *second = allocate(400), *other = allocate(500);
  for (void* block : {first, second}) deallocate(block, 400);
  deallocate(other, 500);
  std::thread([&] {
    void* here = allocate(400);
    CHECK((here != first && here != second));
    deallocate(here, 400);
  }).join();
  CHECK(allocate(399) == second);  // of the same 16 bytes
  CHECK(allocate(400) == first);
  CHECK(allocate(497) == other);
  for (void* block : {first, second}) deallocate(block, 400);
  deallocate(other, 500);
  release_memory();
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
#endif
