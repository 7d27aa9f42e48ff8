#include "layers/embedding_bag.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {

EmbeddingBag::EmbeddingBag(std::size_t num_embeddings, std::size_t embedding_dim,
                           Generator& generator, const EmbeddingBagOptions& options)
    : EmbeddingTable("embedding_bag", num_embeddings, embedding_dim, generator, options),
      mode_(options.mode),
      include_last_offset_(options.include_last_offset) {}

EmbeddingBag::EmbeddingBag(Array matrix, bool freeze, const EmbeddingBagOptions& options)
    : EmbeddingTable("embedding_bag", std::move(matrix), freeze, options),
      mode_(options.mode),
      include_last_offset_(options.include_last_offset) {}

EmbeddingBag EmbeddingBag::from_pretrained(Array matrix, bool freeze,
                                           const EmbeddingBagOptions& options) {
  return EmbeddingBag(std::move(matrix), freeze, options);
}

Tensor EmbeddingBag::operator()(const Indices& ids, const Tensor& per_sample_weights) const {
  check(ids.dimension() == 2, "embedding_bag: ids without offsets must be [N, L], got ",
        ids.shape());
  Indices bag = empty<Indices>({ids.size()});
  for (std::size_t i = 0; i < bag.size(); ++i)
    bag.data()[i] = static_cast<std::int64_t>(i / ids.shape()[1]);
  return reduce(ids, std::move(bag), ids.shape()[0], per_sample_weights);
}

Tensor EmbeddingBag::operator()(const Indices& ids, const Indices& offsets,
                                const Tensor& per_sample_weights) const {
  check(ids.dimension() == 1 && offsets.dimension() == 1,
        "embedding_bag: ids and offsets must be [n] and [N], got ", ids.shape(), " and ",
        offsets.shape());
  const auto n = static_cast<std::int64_t>(ids.size());
  const std::size_t last = include_last_offset_ ? 1 : 0, needed = last + (n > 0 ? 1 : 0);
  check(offsets.size() >= needed, "embedding_bag: ", n, " ids need at least ", needed,
        " offsets, got ", offsets.size());
  std::int64_t before = 0;
  for (std::size_t k = 0; k < offsets.size(); ++k) {
    const std::int64_t offset = offsets.data()[k];
    const std::int64_t low = k + 1 == offsets.size() && last == 1 ? n : before,
                       high = k == 0 ? 0 : n;
    check<std::out_of_range>(offset >= low && offset <= high, "embedding_bag: offset ", offset,
                             " at ", Shape{k}, " must be within ", low, "..", high);
    before = offset;
  }
  const std::size_t num_bags = offsets.size() - last;
  Indices bag = empty<Indices>({ids.size()});
  for (std::size_t k = 0; k < num_bags; ++k) {
    const std::int64_t end = k + 1 < offsets.size() ? offsets.data()[k + 1] : n;
    std::fill(bag.data() + offsets.data()[k], bag.data() + end, static_cast<std::int64_t>(k));
  }
  return reduce(ids, std::move(bag), num_bags, per_sample_weights);
}

Tensor EmbeddingBag::reduce(const Indices& ids, Indices bag, std::size_t num_bags,
                            Tensor weights) const {
  if (weights.defined()) {
    check(mode_ == BagMode::kSum, "embedding_bag: per_sample_weights need the mode sum");
    check(weights.shape() == ids.shape(),
          "embedding_bag: per_sample_weights must be shaped as the ids, ", ids.shape(), ", got ",
          weights.shape());
    weights = reshape(weights, {ids.size()});
  }
  const Tensor& table = weight_for(ids);
  Indices in = ids;
  in.reshape(Shape{ids.size()});
  if (options().padding_idx) {
    const Indices kept = positions_without(*options().padding_idx, in);
    in = take(in, kept);
    bag = take(bag, kept);
    if (weights.defined()) weights = gather_rows(weights, kept);
  }
  if (mode_ == BagMode::kMean) weights = inverse_counts(bag, num_bags);
  if (!weights.defined()) weights = Tensor(full({in.size()}, 1));
  const RowPairs pairs{std::move(in), std::move(bag), table.shape(0), num_bags};
  return mode_ == BagMode::kMax ? max_checked(table, pairs, lookup_options())
                                : weighted_checked(table, pairs, weights, lookup_options());
}

}  // namespace gradwalk
