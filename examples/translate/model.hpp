// An encoder-decoder with attention (Luong et al. 2015, https://arxiv.org/abs/1508.04025, "global"
// attention with the "general" score, after Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473).
//
// N sentences of up to T tokens are translated to up to U; E = embedding_dim, D = 2 * hidden.
//
//   m = LSTM, forwards and backwards, of the source's embeddings             [N, T, D]   memory
//   h = LSTM of the embeddings of <end>, y_1, ..., y_U-1                     [N, U, D]
//       from the encoder's last state
//   score[u, t] = h_u . W_key m_t; -infinity where t is padding              [N, U, T]
//   a = softmax of score over t                                              [N, U, T]   weights
//   context_u = sum_t a[u, t] m_t                                            [N, U, D]
//   logits of y_u = W_out tanh(W_combine [context_u; h_u])                   [N, U, V]
//
// Unlike in the paper the context is not fed back into the decoder: so its LSTM, in training, reads
// the whole target at once (teacher forcing), and all attention is two products of matrices.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "layers/layers.hpp"

namespace translate {

using Ids = std::vector<std::int64_t>;

class Vocabulary {
 public:
  static constexpr std::int64_t kPadding = 0, kUnknown = 1, kEnd = 2;

  Vocabulary();
  bool add(const std::string& token);  // false if it was there already
  std::size_t size() const { return tokens_.size(); }
  const std::vector<std::string>& tokens() const { return tokens_; }

  // Their ids, then kEnd.
  Ids encode(const std::vector<std::string>& tokens) const;
  // The text up to kEnd.
  std::string decode(const Ids& ids) const;

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int64_t> ids_;
};

struct Vocabularies {
  Vocabulary source, target;
};

struct ModelConfig {
  std::size_t embedding_dim = 32;
  std::size_t hidden = 64;  // of each direction of the encoder
};

// What the decoder looks at.
struct Memory {
  gradwalk::Tensor values;   // [N, T, D]   m
  gradwalk::Tensor keys;     // [N, T, D]   W_key m
  gradwalk::Tensor padding;  // [N, 1, T]   1 where a sentence has ended
};
// What the decoder remembers, [1, N, D] each.
struct State {
  gradwalk::Tensor h, c;
};

class Translator : public gradwalk::Module {
 public:
  Translator(const ModelConfig& config, std::size_t source_size, std::size_t target_size,
             gradwalk::Generator& generator);

  struct Encoded {
    Memory memory;
    State state;
  };
  Encoded encode(const gradwalk::IdSequences& source) const;  // ids [T, N]

  struct Decoded {
    gradwalk::Tensor logits;   // [N, U, V]
    gradwalk::Tensor weights;  // [N, U, T]
    State state;               // after the last step
  };
  // What comes after each of ids [U, N]: of a whole target, or of one step.
  Decoded decode(const gradwalk::Indices& ids, const Memory& memory, const State& state) const;

 private:
  gradwalk::Embedding source_embedding_, target_embedding_;
  gradwalk::LSTM encoder_, decoder_;
  gradwalk::Linear key_, combine_, output_;
};

// ids as the columns of a rectangle [T, N], kPadding below the end of each.
gradwalk::IdSequences make_batch(const std::vector<Ids>& sentences);

struct Model {
  ModelConfig config;
  Vocabularies vocabularies;
  std::unique_ptr<Translator> translator;
};

// One safetensors file: weights, with configuration and vocabularies as metadata. Any bytes give a
// model or a gradwalk::FileError.
void save_model(const std::string& path, const Model& model);
Model load_model(const std::string& path);

}  // namespace translate
