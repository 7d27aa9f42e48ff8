// Tensors made from nothing but sizes and ids: leaves, without a rule.
#include <numeric>

#include "core/ops.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {

Tensor zeros(const Shape& shape) { return Tensor(full(shape, 0)); }
Tensor ones(const Shape& shape) { return Tensor(full(shape, 1)); }

Tensor arange(std::size_t n) {
  Array y = empty({n});
  std::iota(y.begin(), y.end(), Real(0));
  return Tensor(std::move(y));
}

Tensor one_hot(const Indices& ids, std::size_t num_classes) {
  check_ids("one_hot", ids, num_classes);
  Shape shape = ids.shape();
  shape.push_back(num_classes);
  Array y = full(shape, 0);
  Real* row = y.data();
  for (std::int64_t id : ids) {
    row[id] = 1;
    row += num_classes;
  }
  return Tensor(std::move(y));
}

}  // namespace gradwalk
