// Where arrays and nodes get their memory. A training step frees its graph and the next one asks for
// the same sizes again. The system would map, zero and unmap each large block every time, which can
// cost as much as the arithmetic; its bookkeeping for small ones costs more than an op of one number.
// So blocks are kept when they are freed and handed out again: large ones to any thread, small ones
// to the thread that freed them.
#pragma once

#include <cstddef>
#include <new>

namespace gradwalk {

// Numbers not yet written, on a cache line's border if the block is large. Throws std::bad_alloc.
void* allocate(std::size_t bytes);
void deallocate(void* block, std::size_t bytes) noexcept;

// Zeros that cost no memory before they are written, page by page: always new from the system, since
// calloc may hand out used memory and clear it. Throws std::bad_alloc.
void* map_zeros(std::size_t bytes);
void unmap_zeros(void* block, std::size_t bytes) noexcept;

struct MemoryUse {
  std::size_t in_use, peak;  // bytes of large blocks: now, and the most so far
  std::size_t kept;          // freed, waiting to be used again: never more than `peak`
};
MemoryUse memory_use();
void release_memory();  // gives what is kept, of small blocks by this thread, back to the system

// For the standard's containers.
template <class T>
struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <class U>
  Allocator(const Allocator<U>&) {}
  T* allocate(std::size_t n) {
    if (n > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(gradwalk::allocate(n * sizeof(T)));
  }
  void deallocate(T* block, std::size_t n) noexcept { gradwalk::deallocate(block, n * sizeof(T)); }
  template <class U>
  bool operator==(const Allocator<U>&) const {
    return true;
  }
  template <class U>
  bool operator!=(const Allocator<U>&) const {
    return false;
  }
};

}  // namespace gradwalk
