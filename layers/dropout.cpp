#include "layers/dropout.hpp"

#include "core/error.hpp"

namespace gradwalk {

Dropout::Dropout(double p, Generator& generator) : p_(p), generator_(generator) {
  check(p >= 0 && p < 1, "dropout: the probability must be in [0, 1), got ", p);
}

}  // namespace gradwalk
