#include "core/machine/memory.hpp"

#include <sys/mman.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <utility>

namespace gradwalk {
namespace {

constexpr std::size_t kSmall = 512, kLarge = 1 << 15;  // between them the system is fast enough
constexpr std::size_t kLine = 64, kHugePage = 2 << 20;

#ifdef GRADWALK_SANITIZE
constexpr bool kKeep = false;  // a block that is handed out again hides its use after its end
#else
constexpr bool kKeep = true;
#endif

struct Block {
  Block* next;
};

void free_all(Block*& list) {
  while (list != nullptr) std::free(std::exchange(list, list->next));
}

// Small blocks that this thread has freed, by size in steps of 16 bytes.
struct SmallBlocks {
  static constexpr std::size_t kStep = 16, kMost = 16 << 20;  // bytes kept
  Block* first[kSmall / kStep];
  std::size_t kept;
  bool ended;  // the thread, but for objects that are destroyed after AtThreadEnd

  void release() {
    for (Block*& list : first) free_all(list);
    kept = 0;
  }
};
thread_local SmallBlocks small;  // all zero, and without a destructor: usable to the very end
struct AtThreadEnd {
  ~AtThreadEnd() {
    small.release();
    small.ended = true;
  }
};

// Sizes of large blocks are rounded up to eight a doubling, so that batches of nearly the same length
// share blocks: the k-th size is (9 + k % 8) * 2^(k / 8) lines.
struct SizeClass {
  std::size_t index, bytes;
};
SizeClass size_class(std::size_t bytes) {
  std::size_t lines = (bytes + kLine - 1) / kLine, shift = 0;
  while ((lines - 1) >> shift >= 16) ++shift;
  const std::size_t head = ((lines - 1) >> shift) + 1;  // 9 ... 16
  return {shift * 8 + head - 9, (head << shift) * kLine};
}

// A large block, null where there is no memory. From 2 MB on in pages of 2 MB, where Linux has them:
// a product walks down columns and a lookup jumps from row to row, and in pages of 4 KB each step
// would wait for the processor to look up another one.
void* map_large(std::size_t bytes) {
  void* block = nullptr;
  if (posix_memalign(&block, bytes < kHugePage ? kLine : kHugePage, bytes) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
  if (bytes >= kHugePage) madvise(block, bytes, MADV_HUGEPAGE);  // a wish: may be refused
#endif
  return block;
}

struct Kept {
  std::mutex mutex;
  Block* first[8 * 64] = {};  // of each size
  MemoryUse use{};

  void release() {
    for (Block*& list : first) free_all(list);
    use.kept = 0;
  }
};

// Never destroyed: arrays that live as long as the program come back later.
Kept& kept() {
  static Kept& kept = *new Kept;
  return kept;
}

void* allocate_small(std::size_t bytes) {
  const std::size_t steps = (bytes + SmallBlocks::kStep - 1) / SmallBlocks::kStep;
  if (steps > 0 && steps <= std::size(small.first) && small.first[steps - 1] != nullptr) {
    small.kept -= steps * SmallBlocks::kStep;
    return std::exchange(small.first[steps - 1], small.first[steps - 1]->next);
  }
  const std::size_t size = std::max<std::size_t>(steps, 1) * SmallBlocks::kStep;
  void* block = std::malloc(size);
  if (block == nullptr) {  // what is kept may be what is missing
    release_memory();
    block = std::malloc(size);
  }
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void deallocate_small(void* block, std::size_t bytes) {
  const std::size_t steps = (bytes + SmallBlocks::kStep - 1) / SmallBlocks::kStep,
                    size = steps * SmallBlocks::kStep;
  if (!kKeep || steps == 0 || steps > std::size(small.first) || small.ended ||
      small.kept + size > SmallBlocks::kMost)
    return std::free(block);
  thread_local AtThreadEnd at_thread_end;
  (void)at_thread_end;
  small.first[steps - 1] = new (block) Block{small.first[steps - 1]};
  small.kept += size;
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes < kLarge) return allocate_small(bytes);
  if (bytes > static_cast<std::size_t>(-1) / 2) throw std::bad_alloc();
  const SizeClass size = size_class(bytes);
  Kept& k = kept();
  const std::lock_guard<std::mutex> lock(k.mutex);
  void* block = k.first[size.index];
  if (block != nullptr) {
    k.first[size.index] = k.first[size.index]->next;
    k.use.kept -= size.bytes;
  } else {
    block = map_large(size.bytes);
    if (block == nullptr) {  // what is kept may be what is missing
      k.release();
      block = map_large(size.bytes);
    }
    if (block == nullptr) throw std::bad_alloc();
  }
  k.use.in_use += size.bytes;
  k.use.peak = std::max(k.use.peak, k.use.in_use);
  return block;
}

void deallocate(void* block, std::size_t bytes) noexcept {
  if (bytes < kLarge) return deallocate_small(block, bytes);
  const SizeClass size = size_class(bytes);
  Kept& k = kept();
  const std::lock_guard<std::mutex> lock(k.mutex);
  k.use.in_use -= size.bytes;
  if (!kKeep) return std::free(block);
  if (k.use.kept + size.bytes > k.use.peak) k.release();  // of sizes nobody asks for any more
  k.first[size.index] = new (block) Block{k.first[size.index]};
  k.use.kept += size.bytes;
}

void* map_zeros(std::size_t bytes) {
  void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) throw std::bad_alloc();
  return block;
}

void unmap_zeros(void* block, std::size_t bytes) noexcept { munmap(block, bytes); }

MemoryUse memory_use() {
  Kept& k = kept();
  const std::lock_guard<std::mutex> lock(k.mutex);
  return k.use;
}

void release_memory() {
  Kept& k = kept();
  const std::lock_guard<std::mutex> lock(k.mutex);
  k.release();
  small.release();
#ifdef __GLIBC__
  malloc_trim(0);  // it keeps what was freed, too
#endif
}

}  // namespace gradwalk
