// Sums, means or maxima of vectors from a table.
#pragma once

#include "layers/embedding.hpp"

namespace gradwalk {

// What a bag gives: the sum, mean or greatest of its vectors, number by number.
enum class BagMode { kSum, kMean, kMax };

struct EmbeddingBagOptions : EmbeddingOptions {
  BagMode mode = BagMode::kMean;
  bool include_last_offset = false;  // offsets end with the number of ids
};

// y[n, :] = sum, mean or max over the ids of bag n of weight[id, :]; ids that are padding_idx are
// left out, an empty bag gives zero.   y [N, embedding_dim]
// The looked-up vectors are never laid out, neither forward nor backward.
// Making one throws as EmbeddingTable says. Calls throw std::out_of_range for an id outside the
// table, std::invalid_argument for other shapes than below or weights in another mode than sum.
// https://pytorch.org/docs/stable/generated/torch.nn.EmbeddingBag.html
// (there, mode max takes neither sparse nor scale_grad_by_freq)
class EmbeddingBag : public EmbeddingTable {
 public:
  EmbeddingBag(std::size_t num_embeddings, std::size_t embedding_dim, Generator& generator,
               const EmbeddingBagOptions& options = {});
  // weight = matrix [num_embeddings, embedding_dim]; a frozen one gets no gradient.
  static EmbeddingBag from_pretrained(Array matrix, bool freeze = true,
                                      const EmbeddingBagOptions& options = {});
  // ids [N, L]: each row is a bag. With per_sample_weights, shaped as ids, the sum is weighted:
  // mode sum only.
  Tensor operator()(const Indices& ids, const Tensor& per_sample_weights = {}) const;
  // ids [n]: bag k is ids[offsets[k] : offsets[k + 1]], the last one goes to the end. offsets [N],
  // or [N + 1] with include_last_offset. Throws std::out_of_range for offsets that do not start at
  // 0, decrease, run past the end, or do not end with n where that is asked for.
  Tensor operator()(const Indices& ids, const Indices& offsets,
                    const Tensor& per_sample_weights = {}) const;

 private:
  EmbeddingBag(Array matrix, bool freeze, const EmbeddingBagOptions& options);
  // bag[i] is the bag of the i-th id
  Tensor reduce(const Indices& ids, Indices bag, std::size_t num_bags, Tensor weights) const;
  BagMode mode_;
  bool include_last_offset_;
};

}  // namespace gradwalk
