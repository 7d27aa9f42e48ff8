#include "core/machine/memory.hpp"

#include <pthread.h>
#include <sys/mman.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace gradwalk {
namespace {

constexpr std::size_t kLarge = 1 << 15;  // malloc is fast for smaller blocks
constexpr std::size_t kLine = 64, kHugePage = 2 << 20;

#ifdef GRADWALK_SANITIZE
constexpr bool kKeep = false;  // a reused block would hide a use after free
#else
constexpr bool kKeep = true;
#endif

// Sizes are rounded up to eight per doubling, so that batches of similar length share blocks.
std::size_t rounded(std::size_t bytes) {
  std::size_t step = kLine;
  while (bytes > 16 * step) step *= 2;
  return (bytes + step - 1) / step * step;
}

struct Block {
  Block* next;
};

// The large blocks that were freed.
struct FreeLists {
  std::mutex mutex;
  std::map<std::size_t, Block*> first;  // by size
  MemoryUse use{};

  FreeLists();
  void release() {
    for (auto& [size, list] : first)
      while (list != nullptr) std::free(std::exchange(list, list->next));
    use.kept = 0;
  }
};

// Never destroyed: static arrays may be freed later.
FreeLists& lists() {
  static FreeLists& lists = *new FreeLists;
  return lists;
}

// A forked child has no thread that could unlock the mutex, so nobody may hold it during fork().
FreeLists::FreeLists() {
  const auto unlock = [] { lists().mutex.unlock(); };
  pthread_atfork([] { lists().mutex.lock(); }, unlock, unlock);
}

// From 2 MB on in pages of 2 MB, where Linux has them: a product that walks down columns and a
// lookup that jumps between rows would wait for a new page entry at almost every step.
void* map_large(std::size_t bytes) {
  void* block = nullptr;
  if (posix_memalign(&block, bytes < kHugePage ? kLine : kHugePage, bytes) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
  if (bytes >= kHugePage) madvise(block, bytes, MADV_HUGEPAGE);  // may be refused: no harm
#endif
  return block;
}

// Null where there is no memory.
void* take(std::size_t bytes) {
  if (bytes < kLarge) return std::malloc(bytes);
  if (bytes > static_cast<std::size_t>(-1) / 2) return nullptr;
  const std::size_t size = rounded(bytes);
  FreeLists& l = lists();
  const std::lock_guard<std::mutex> lock(l.mutex);
  Block*& first = l.first[size];  // made here, since deallocate() must not throw
  void* block = first;
  if (block != nullptr) {
    first = first->next;
    l.use.kept -= size;
  } else {
    // The parts of a step may use different sizes, so more is kept than was ever in use at once.
    // Not without end, though: sizes of earlier steps may never be asked for again.
    const std::size_t in_use = l.use.in_use + size;
    if (in_use + l.use.kept > 2 * std::max(l.use.peak, in_use)) l.release();
    block = map_large(size);
    if (block == nullptr) return nullptr;
  }
  l.use.in_use += size;
  l.use.peak = std::max(l.use.peak, l.use.in_use);
  return block;
}

}  // namespace

OutOfMemory::OutOfMemory(std::size_t bytes) {
  std::snprintf(what_, sizeof(what_), "out of memory: %zu bytes were asked for", bytes);
}

void* allocate(std::size_t bytes) {
  void* block = take(bytes);
  if (block == nullptr) {  // what is kept may be what is missing
    release_memory();
    block = take(bytes);
  }
  if (block == nullptr) throw OutOfMemory(bytes);
#ifdef GRADWALK_POISON
  std::memset(block, 0xff, bytes);  // NaN, and as an id -1: shows what was never written
#endif
  return block;
}

void deallocate(void* block, std::size_t bytes) noexcept {
  if (bytes < kLarge) return std::free(block);
  const std::size_t size = rounded(bytes);
  FreeLists& l = lists();
  const std::lock_guard<std::mutex> lock(l.mutex);
  l.use.in_use -= size;
  if (!kKeep) return std::free(block);
  Block*& first = l.first[size];
  first = new (block) Block{first};
  l.use.kept += size;
}

void* map_zeros(std::size_t bytes) {
  if (bytes < kLarge) return std::memset(allocate(bytes), 0, bytes);  // a map is at least a page
  void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) throw OutOfMemory(bytes);
  return block;
}

void unmap_zeros(void* block, std::size_t bytes) noexcept {
  if (bytes < kLarge) return deallocate(block, bytes);
  munmap(block, bytes);
}

MemoryUse memory_use() {
  FreeLists& l = lists();
  const std::lock_guard<std::mutex> lock(l.mutex);
  return l.use;
}

void release_memory() {
  FreeLists& l = lists();
  const std::lock_guard<std::mutex> lock(l.mutex);
  l.release();
#ifdef __GLIBC__
  malloc_trim(0);  // it keeps what was freed, too
#endif
}

}  // namespace gradwalk
