// A lookup table of vectors.
#pragma once

#include <optional>

#include "core/ops.hpp"
#include "core/ops/lookup.hpp"
#include "layers/module.hpp"
#include "layers/sequences.hpp"

namespace gradwalk {

struct EmbeddingOptions {
  // This row gets no gradient; a negative one counts from the end. It starts as zero.
  std::optional<std::int64_t> padding_idx;
  // A row that is looked up and whose norm is greater is first scaled down to this norm, in place.
  std::optional<double> max_norm;
  double norm_type = 2;  // p of the norm (sum_d |w_d|^p)^(1/p); infinity: the greatest |w_d|
  // An id that occurs k times in a lookup gets the mean of its gradients instead of their sum.
  bool scale_grad_by_freq = false;
  bool sparse = true;  // the gradient of weight: RowSparse, or dense
  // A lookup of padding_idx gives zeros, whatever was loaded into that row or trained into it by
  // another use of the table. PyTorch gives the row: that is what false does.
  bool keep_padding_zero = true;
};

// What Embedding and EmbeddingBag share: the table, and what happens to it before a lookup.
// weight [num_embeddings, embedding_dim] ~ N(0, 1), or given.
// Making one throws std::out_of_range for a padding_idx outside the table, std::invalid_argument if
// max_norm or norm_type is not positive, or if a given table has not two axes.
class EmbeddingTable : public Module {
 public:
  const Tensor& weight() const { return weight_; }  // the table, as it is

 protected:
  // `name` begins the texts of errors.
  EmbeddingTable(const char* name, std::size_t num_embeddings, std::size_t embedding_dim,
                 Generator& generator, const EmbeddingOptions& options);
  EmbeddingTable(const char* name, Array matrix, bool freeze, const EmbeddingOptions& options);
  // The table, ready for a lookup of ids: checks them, as check_ids() does, and applies max_norm.
  const Tensor& weight_for(const Indices& ids) const;
  LookupOptions lookup_options() const;  // for the ops of core/ops/lookup.hpp
  const EmbeddingOptions& options() const { return options_; }
  const char* name() const { return name_; }

 private:
  void zero_padding_row();
  const char* name_;
  EmbeddingOptions options_;
  Tensor weight_;
};

// y[..., :] = weight[ids[...], :]; ids of any shape, y of that shape + [embedding_dim].
// Making one throws as EmbeddingTable says.
// https://pytorch.org/docs/stable/generated/torch.nn.Embedding.html
// (sparse is off by default there)
class Embedding : public EmbeddingTable {
 public:
  Embedding(std::size_t num_embeddings, std::size_t embedding_dim, Generator& generator,
            const EmbeddingOptions& options = {});
  // weight = matrix [num_embeddings, embedding_dim]; a frozen one gets no gradient.
  static Embedding from_pretrained(Array matrix, bool freeze = true,
                                   const EmbeddingOptions& options = {});
  // Throws std::out_of_range for an id outside the table. The second: [T, N] ->
  // [T, N, embedding_dim], the lengths unchecked.
  Tensor operator()(const Indices& ids) const;
  Sequences operator()(const IdSequences& x) const { return {(*this)(x.ids), x.lengths}; }

 private:
  Embedding(Array matrix, bool freeze, const EmbeddingOptions& options);
};

}  // namespace gradwalk
