#include "layers/pooling.hpp"

#include <numeric>

#include "core/error.hpp"
#include "core/ops.hpp"

namespace gradwalk {
namespace {

// The values as T*N rows [T*N, D]: which of them count, and the sequence that each belongs to.
struct Rows {
  Tensor values;
  Indices in, out;
};

Rows rows_of(const char* op, const Sequences& x) {
  check(x.values.dim() == 3, op, ": the values must be [T, N, D], got ", x.values.shape());
  check_lengths(op, x.lengths, x.values.shape());
  const std::size_t T = x.values.shape(0), N = x.values.shape(1), D = x.values.shape(2);
  const std::size_t count = std::accumulate(x.lengths.begin(), x.lengths.end(), std::size_t{0});
  Rows rows{reshape(x.values, {T * N, D}), empty<Indices>({count}), empty<Indices>({count})};
  std::size_t i = 0;
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t t = 0; t < x.lengths[n]; ++t, ++i) {
      rows.in.data()[i] = static_cast<std::int64_t>(t * N + n);
      rows.out.data()[i] = static_cast<std::int64_t>(n);
    }
  }
  return rows;
}

}  // namespace

Tensor mean_pool(const Sequences& x) {
  const Rows rows = rows_of("mean_pool", x);
  Array share = empty({rows.out.size()});
  for (std::size_t i = 0; i < share.size(); ++i) {
    share.data()[i] =
        1 / static_cast<Real>(x.lengths[static_cast<std::size_t>(rows.out.data()[i])]);
  }
  return weighted_rows(rows.values, rows.in, rows.out, x.lengths.size(), Tensor(std::move(share)),
                       false);
}

Tensor max_pool(const Sequences& x) {
  const Rows rows = rows_of("max_pool", x);
  return max_rows(rows.values, rows.in, rows.out, x.lengths.size(), false);
}

Tensor last(const Sequences& x) {
  const Rows rows = rows_of("last", x);
  Indices ends = empty<Indices>({x.lengths.size()});
  for (std::size_t i = 0; i < rows.in.size(); ++i)  // by sequence and time: the last one stays
    ends.data()[rows.out.data()[i]] = rows.in.data()[i];
  return gather_rows(rows.values, ends, {}, false);
}

}  // namespace gradwalk
