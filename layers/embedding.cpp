#include "layers/embedding.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/kernels.hpp"
#include "core/ops/lookup.hpp"
#include "layers/embedding_bag.hpp"

namespace gradwalk {
namespace {

// The options with padding_idx counted from the start.
EmbeddingOptions checked(const char* name, const Shape& table, EmbeddingOptions options) {
  check(table.size() == 2, name, ": the matrix must be [num_embeddings, embedding_dim], got ",
        table);
  if (options.padding_idx) {
    const auto rows = static_cast<std::int64_t>(table[0]);
    const std::int64_t given = *options.padding_idx, row = given < 0 ? given + rows : given;
    check<std::out_of_range>(row >= 0 && row < rows, name, ": padding_idx ", given,
                             " is outside a table of ", rows, " rows");
    options.padding_idx = row;
  }
  check(!options.max_norm || *options.max_norm > 0, name, ": max_norm must be positive, got ",
        options.max_norm.value_or(0));
  check(options.norm_type > 0, name, ": norm_type must be positive, got ", options.norm_type);
  return options;
}

double p_norm(std::size_t n, const Real* x, double p) {
  if (p == 2) return std::sqrt(kernels::sum_of_squares(n, x));
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double a = std::abs(static_cast<double>(x[i]));
    total = std::isinf(p) ? std::max(total, a) : total + std::pow(a, p);
  }
  return std::isinf(p) ? total : std::pow(total, 1 / p);
}

}  // namespace

EmbeddingTable::EmbeddingTable(const char* name, std::size_t num_embeddings,
                               std::size_t embedding_dim, Generator& generator,
                               const EmbeddingOptions& options)
    : name_(name),
      options_(checked(name, {num_embeddings, embedding_dim}, options)),
      weight_(parameter("weight", normal({num_embeddings, embedding_dim}, generator))) {
  zero_padding();
}

EmbeddingTable::EmbeddingTable(const char* name, Array matrix, bool freeze,
                               const EmbeddingOptions& options)
    : name_(name),
      options_(checked(name, shape_of(matrix), options)),
      weight_(parameter("weight", std::move(matrix))) {
  weight_.set_requires_grad(!freeze);
}

const Tensor& EmbeddingTable::weight() const {
  if (options_.keep_padding_zero) zero_padding();
  return weight_;
}

// The version goes up only when a number changes: a lookup must not spoil an earlier op's backward.
void EmbeddingTable::zero_padding() const {
  if (!options_.padding_idx) return;
  const Indices padding{*options_.padding_idx};
  const std::size_t width = weight_.shape(1),
                    at = static_cast<std::size_t>(*options_.padding_idx) * width;
  const Real* row = weight_.value(padding).data() + at;
  if (std::all_of(row, row + width, [](Real w) { return w == 0; })) return;
  Tensor table = weight_;
  std::fill_n(table.mutable_value(padding).data() + at, width, Real(0));
}

const Tensor& EmbeddingTable::weight_for(const Indices& ids) const {
  check_ids(name_, ids, weight_.shape(0));
  Tensor table = weight();
  if (!options_.max_norm) return weight_;
  const std::size_t width = table.shape(1);
  const Array& values = table.value(ids);
  for (std::int64_t id : find_places(ids, table.shape(0)).unique) {
    const std::size_t at = static_cast<std::size_t>(id) * width;
    const double norm = p_norm(width, values.data() + at, options_.norm_type);
    if (!(norm > *options_.max_norm)) continue;
    kernels::scale(width, static_cast<Real>(*options_.max_norm / (norm + 1e-7)),
                   table.mutable_value(Indices{id}).data() + at);
  }
  return weight_;
}

Embedding::Embedding(std::size_t num_embeddings, std::size_t embedding_dim, Generator& generator,
                     const EmbeddingOptions& options)
    : EmbeddingTable("embedding", num_embeddings, embedding_dim, generator, options) {}

Embedding::Embedding(Array matrix, bool freeze, const EmbeddingOptions& options)
    : EmbeddingTable("embedding", std::move(matrix), freeze, options) {}

Embedding Embedding::from_pretrained(Array matrix, bool freeze, const EmbeddingOptions& options) {
  return Embedding(std::move(matrix), freeze, options);
}

Tensor Embedding::operator()(const Indices& ids) const {
  return gather_rows(weight_for(ids), ids, options().padding_idx, options().sparse,
                     options().scale_grad_by_freq);
}

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
        shape_of(ids));
  Indices bag = empty<Indices>({ids.size()});
  for (std::size_t i = 0; i < bag.size(); ++i)
    bag.data()[i] = static_cast<std::int64_t>(i / ids.shape()[1]);
  return reduce(ids, std::move(bag), ids.shape()[0], per_sample_weights);
}

Tensor EmbeddingBag::operator()(const Indices& ids, const Indices& offsets,
                                const Tensor& per_sample_weights) const {
  check(ids.dimension() == 1 && offsets.dimension() == 1,
        "embedding_bag: ids and offsets must be [n] and [N], got ", shape_of(ids), " and ",
        shape_of(offsets));
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
    check(weights.shape() == shape_of(ids),
          "embedding_bag: per_sample_weights must be shaped as the ids, ", shape_of(ids), ", got ",
          weights.shape());
    weights = reshape(weights, {ids.size()});
  }
  const Tensor& table = weight_for(ids);
  Indices in = ids;
  in.reshape(Shape{ids.size()});
  if (options().padding_idx) {
    const Indices kept = places_without(*options().padding_idx, in);
    in = pick(in, kept);
    bag = pick(bag, kept);
    if (weights.defined()) weights = gather_rows(weights, kept);
  }
  const bool sparse = options().sparse, by_freq = options().scale_grad_by_freq;
  if (mode_ == BagMode::kMax) return max_rows(table, in, bag, num_bags, sparse, by_freq);
  if (mode_ == BagMode::kMean) weights = inverse_counts(bag, num_bags);
  if (!weights.defined()) weights = Tensor(full({in.size()}, 1));
  return weighted_rows(table, in, bag, num_bags, weights, sparse, by_freq);
}

}  // namespace gradwalk
