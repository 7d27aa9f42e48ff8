// A lookup table of vectors.
#pragma once

#include <optional>

#include "core/ops.hpp"
#include "layers/module.hpp"

namespace gradwalk {

struct EmbeddingOptions {
  // This row starts as zero and gets no gradient; a negative one counts from the end.
  std::optional<std::int64_t> padding_idx;
  bool sparse = true;  // the gradient of weight: RowSparse, or dense
};

// y[..., :] = weight[ids[...], :]; ids of any shape, y of that shape + [embedding_dim].
// weight [num_embeddings, embedding_dim] ~ N(0, 1)
// https://pytorch.org/docs/stable/generated/torch.nn.Embedding.html (sparse is off by default there)
class Embedding : public Module {
 public:
  Embedding(std::size_t num_embeddings, std::size_t embedding_dim, Generator& generator,
            EmbeddingOptions options = {});
  // Throws std::out_of_range for an id outside the table.
  Tensor operator()(const Indices& ids) const;
  const Tensor& weight() const { return weight_; }

 private:
  EmbeddingOptions options_;
  Tensor weight_;
};

}  // namespace gradwalk
