#include "layers/embedding.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/machine/kernels.hpp"
#include "core/ops/lookup.hpp"

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
  check(!options.max_norm || (*options.max_norm > 0 && std::isfinite(*options.max_norm)), name,
        ": max_norm must be positive and finite, got ", options.max_norm.value_or(0));
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
      options_(checked(name, {num_embeddings, embedding_dim}, options)),  // before any draw
      weight_(parameter("weight", normal({num_embeddings, embedding_dim}, generator))) {
  if (options_.padding_idx) zero_padding_row();
}

EmbeddingTable::EmbeddingTable(const char* name, Array matrix, bool freeze,
                               const EmbeddingOptions& options)
    : name_(name),
      options_(checked(name, matrix.shape(), options)),
      weight_(parameter("weight", std::move(matrix))) {
  weight_.set_requires_grad(!freeze);
  if (options_.padding_idx && options_.keep_padding_zero) zero_padding_row();
}

void EmbeddingTable::zero_padding_row() {
  const std::size_t width = weight_.shape(1), row = static_cast<std::size_t>(*options_.padding_idx);
  std::fill_n(weight_.node()->value.data() + row * width, width, Real(0));
}

const Tensor& EmbeddingTable::weight_for(const Indices& ids) const {
  check_ids(name_, ids, weight_.shape(0));
  if (!options_.max_norm) return weight_;
  Tensor table = weight_;
  const std::size_t width = table.shape(1);
  const Array& values = table.value(ids);
  for (std::int64_t id : unique_rows(ids, table.shape(0)).unique) {
    const std::size_t at = static_cast<std::size_t>(id) * width;
    const double norm = p_norm(width, values.data() + at, options_.norm_type);
    if (!(norm > *options_.max_norm)) continue;
    kernels::scale(width, static_cast<Real>(*options_.max_norm / (norm + 1e-7)),
                   table.mutable_value(Indices{id}).data() + at);
  }
  return weight_;
}

LookupOptions EmbeddingTable::lookup_options() const {
  return {options_.padding_idx, options_.sparse, options_.scale_grad_by_freq,
          options_.keep_padding_zero};
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
  return gather_checked(weight_for(ids), ids, lookup_options());
}

}  // namespace gradwalk
