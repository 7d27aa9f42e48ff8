// Numbers below the normal range, 1e-38 in float, are kept with fewer digits, and processors take
// up to 300 times as long for them. They are where gradients vanish and moments decay, and not
// worth it.
#pragma once

#include <cstdint>

namespace gradwalk {

// While one lives, this thread's arithmetic takes them for zeros, and makes zeros where they would
// be. Products, optimizers and the loops that threads share do so, with any number of threads;
// loops that only add need not.
class [[nodiscard]] FlushSubnormals {
 public:
  FlushSubnormals();
  ~FlushSubnormals();  // what the thread did before holds again
  FlushSubnormals(FlushSubnormals&&) = delete;

 private:
  std::uint64_t before_;
};

}  // namespace gradwalk
