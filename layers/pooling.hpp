// One vector for each sequence of a batch. Padding is never read, and its gradient is zero.
#pragma once

#include "layers/sequences.hpp"

namespace gradwalk {

// y[n, :] = sum over t < lengths[n] of values[t, n, :] / lengths[n].     [T, N, D] -> [N, D]
Tensor mean_pool(const Sequences& x);
// y[n, d] = the greatest values[t, n, d] with t < lengths[n]; its gradient goes to the first among
// equals.
Tensor max_pool(const Sequences& x);
// y[n, :] = values[lengths[n] - 1, n, :]. Of what a recurrent layer read backwards this is the
// first step, not the last: take its h_n.
Tensor last(const Sequences& x);

}  // namespace gradwalk
