// One vector for each sequence of a batch: values [T, N, D] -> [N, D]. Padding is never read, and
// its gradient is zero. PyTorch has none of these. All throw std::invalid_argument if values are
// shaped otherwise, or check_lengths() refuses the lengths.
#pragma once

#include "layers/sequences.hpp"

namespace gradwalk {

// y[n, :] = sum over t < lengths[n] of values[t, n, :] / lengths[n]
Tensor mean_pool(const Sequences& x);
// y[n, d] = the greatest values[t, n, d] with t < lengths[n]; its gradient goes to the first among
// equals.
Tensor max_pool(const Sequences& x);
// y[n, :] = values[lengths[n] - 1, n, :]. Of what a recurrent layer read backwards this is the
// first step, not the last: take its h_n.
Tensor last(const Sequences& x);

}  // namespace gradwalk
