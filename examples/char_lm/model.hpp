// The language model, its file, and the text it writes.
#pragma once

#include <memory>
#include <string>

#include "examples/char_lm/data.hpp"
#include "layers/layers.hpp"

namespace char_lm {

struct ModelConfig {
  std::size_t dim = 64;  // of the embedding
  std::size_t hidden = 128;
  std::size_t layers = 1;
  double dropout = 0.3;
};

// What the LSTM knows of the text so far; nothing at first.
struct State {
  gradwalk::Tensor h, c;  // [layers, N, hidden]
};

// logits = Linear(Dropout(LSTM(Embedding(ids))))
class CharModel : public gradwalk::Module {
 public:
  CharModel(const ModelConfig& config, std::size_t alphabet_size, gradwalk::Generator& generator);

  // Logits [T * N, V] of the characters that follow ids [T, N], read from `state` on. The state
  // afterwards is outside the graph: gradients end where a chunk begins (truncated backpropagation
  // through time).
  gradwalk::Tensor operator()(const gradwalk::Indices& ids, State& state) const;

 private:
  gradwalk::Embedding embedding_;
  gradwalk::LSTM lstm_;
  gradwalk::Dropout dropout_;
  gradwalk::Linear linear_;
};

// What a model file holds.
struct LanguageModel {
  ModelConfig config;  // without dropout, which only training needs
  Alphabet alphabet;
  std::unique_ptr<CharModel> model;
};

void save_model(const std::string& path, const ModelConfig& config, const Alphabet& alphabet,
                const CharModel& model);
// Any file gives a model that works or a gradwalk::FileError. The generator must outlive the model.
LanguageModel load_model(const std::string& path, gradwalk::Generator& generator);

// An id drawn from softmax(logits / temperature), never <unk>. Temperature 0: the likeliest one.
std::int64_t draw(const gradwalk::Array& logits, double temperature,
                  gradwalk::Generator& generator);
// The prompt, in valid UTF-8, on a new line, and how the model goes on from there.
std::string write_text(CharModel& model, const Alphabet& alphabet, const std::string& prompt,
                       std::size_t num_characters, double temperature,
                       gradwalk::Generator& generator);

}  // namespace char_lm
