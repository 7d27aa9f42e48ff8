#include "layers/sequences.hpp"

#include "core/error.hpp"

namespace gradwalk {

void check_lengths(const char* op, const Lengths& lengths, const Shape& values) {
  check(lengths.size() == values[1], op, ": needs N = ", values[1],
        " lengths for values [T, N, D] = ", values, ", got ", lengths.size());
  for (std::size_t n = 0; n < lengths.size(); ++n) {
    check(lengths[n] >= 1 && lengths[n] <= values[0], op,
          ": lengths must be from 1 to T = ", values[0], " for values [T, N, D] = ", values,
          ", got ", lengths[n], " for row ", n);
  }
}

}  // namespace gradwalk
