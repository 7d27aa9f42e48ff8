#include "core/machine/subnormals.hpp"

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

namespace gradwalk {
namespace {

// The processor's register of settings for real numbers, and the bits in it that matter here.
#if defined(__SSE2__)
constexpr std::uint64_t kFlush = 0x8040;  // results to zero, and inputs taken for zeros
std::uint64_t settings() { return _mm_getcsr(); }
void set(std::uint64_t to) { _mm_setcsr(static_cast<unsigned>(to)); }
#elif defined(__aarch64__)
constexpr std::uint64_t kFlush = 1 << 24;
std::uint64_t settings() {
  std::uint64_t now;
  asm volatile("mrs %0, fpcr" : "=r"(now));
  return now;
}
void set(std::uint64_t to) { asm volatile("msr fpcr, %0" : : "r"(to)); }
#else
constexpr std::uint64_t kFlush = 0;  // as slow as they are
std::uint64_t settings() { return 0; }
void set(std::uint64_t) {}
#endif

}  // namespace

// Setting takes longer than looking, and many loops run inside another's scope.
FlushSubnormals::FlushSubnormals() : before_(settings()) {
  if ((before_ & kFlush) != kFlush) set(before_ | kFlush);
}
FlushSubnormals::~FlushSubnormals() {  // other bits stay: they tell of overflows since
  if ((before_ & kFlush) != kFlush) set((settings() & ~kFlush) | (before_ & kFlush));
}

}  // namespace gradwalk
