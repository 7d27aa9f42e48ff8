// Where arrays and nodes get their memory. A training step frees its graph, and the next one asks
// for the same sizes again. The system would map, zero and unmap each large block every time, which
// can cost as much as the arithmetic. So large blocks are kept when they are freed, and used again.
#pragma once

#include <cstddef>
#include <new>

namespace gradwalk {

// Says how much was asked for. Holds its text: there may be no memory for a string.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::size_t bytes);
  const char* what() const noexcept override { return what_; }

 private:
  char what_[64];
};

// Uninitialised memory; blocks of 32 KB and more start at a cache line. Throws OutOfMemory.
void* allocate(std::size_t bytes);
void deallocate(void* block, std::size_t bytes) noexcept;

// Zeros; a large block takes no memory until it is written, page by page. Not calloc, which may
// reuse memory and clear it. Throws OutOfMemory.
void* map_zeros(std::size_t bytes);
void unmap_zeros(void* block, std::size_t bytes) noexcept;

struct MemoryUse {
  std::size_t in_use, peak;  // bytes of large blocks: now, and the most so far
  std::size_t kept;          // freed and waiting to be used again; with `in_use` at most 2 * peak
};
MemoryUse memory_use();
void release_memory();  // gives what is kept back to the system

// For standard containers.
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
  friend bool operator==(const Allocator&, const Allocator&) { return true; }
  friend bool operator!=(const Allocator&, const Allocator&) { return false; }
};

}  // namespace gradwalk
