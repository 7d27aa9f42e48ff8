// The translator and its file.
#include "examples/translate/model.hpp"

#include <algorithm>
#include <limits>

#include "core/core.hpp"
#include "examples/model_file.hpp"
#include "examples/text.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::FileError;
using gradwalk::Generator;
using gradwalk::Indices;
using gradwalk::Real;
using gradwalk::Tensor;

namespace translate {
namespace {

constexpr const char* kFormat = "gradwalk translate 1";

gradwalk::EmbeddingOptions embedding_options() {
  gradwalk::EmbeddingOptions options;
  options.padding_idx = Vocabulary::kPadding;
  return options;
}

gradwalk::LstmOptions both_directions() {
  gradwalk::LstmOptions options;
  options.bidirectional = true;
  return options;
}

Vocabulary parse_vocabulary(const gradwalk::Checkpoint& file, const char* key) {
  const std::vector<std::string> tokens = texts_of(file, key);
  Vocabulary vocabulary;
  const std::vector<std::string>& first = vocabulary.tokens();
  check<FileError>(
      tokens.size() >= first.size() && std::equal(first.begin(), first.end(), tokens.begin()), key,
      " does not start with <pad>, <unk> and <end>");
  for (std::size_t i = first.size(); i < tokens.size(); ++i) {
    check<FileError>(vocabulary.add(tokens[i]), key, " holds ", gradwalk::in_quotes(tokens[i]),
                     " twice");
  }
  return vocabulary;
}

Model parse_model(const gradwalk::Checkpoint& file) {
  constexpr std::size_t kMost = 1 << 16;
  const nlohmann::json config = config_of(file);
  Model model;
  const std::size_t E = model.config.embedding_dim = size_at(config, "embedding_dim", 1, kMost);
  const std::size_t H = model.config.hidden = size_at(config, "hidden", 1, kMost);
  model.vocabularies.source = parse_vocabulary(file, "source_vocabulary");
  model.vocabularies.target = parse_vocabulary(file, "target_vocabulary");
  const std::size_t source_size = model.vocabularies.source.size(),
                    target_size = model.vocabularies.target.size();

  const std::vector<std::string>& spelled = model.vocabularies.target.tokens();
  for (std::size_t i = Vocabulary::kEnd + 1; i < spelled.size(); ++i) {
    check<FileError>(characters(spelled[i]).size() == 1, "target_vocabulary holds ",
                     gradwalk::in_quotes(spelled[i]), ", which is not one character");
  }

  check_shape(file, "source_embedding.weight", {source_size, E});
  check_shape(file, "target_embedding.weight", {target_size, E});
  check_shape(file, "encoder.weight_ih_l0", {4 * H, E});
  check_shape(file, "encoder.weight_hh_l0", {4 * H, H});
  check_shape(file, "output.weight", {target_size, 2 * H});
  Generator generator;
  model.translator =
      std::make_unique<Translator>(model.config, source_size, target_size, generator);
  model.translator->load_state_dict(file.tensors);
  return model;
}

}  // namespace

// A text that spells <pad>, <unk> or <end> means none of them: tokens() takes it apart.
Vocabulary::Vocabulary() {
  for (const char* token : {"<pad>", "<unk>", "<end>"}) add(token);
}

bool Vocabulary::add(const std::string& token) {
  const bool added = ids_.emplace(token, static_cast<std::int64_t>(size())).second;
  if (added) tokens_.push_back(token);
  return added;
}

Ids Vocabulary::encode(const std::vector<std::string>& tokens) const {
  Ids ids;
  for (const std::string& token : tokens) {
    const auto found = ids_.find(token);
    ids.push_back(found == ids_.end() ? kUnknown : found->second);
  }
  ids.push_back(kEnd);
  return ids;
}

std::string Vocabulary::decode(const Ids& ids) const {
  std::string text;
  for (std::int64_t id : ids) {
    if (id == kEnd) break;
    text += tokens_.at(static_cast<std::size_t>(id));
  }
  return text;
}

Translator::Translator(const ModelConfig& config, std::size_t source_size, std::size_t target_size,
                       Generator& generator)
    : source_embedding_(source_size, config.embedding_dim, generator, embedding_options()),
      target_embedding_(target_size, config.embedding_dim, generator, embedding_options()),
      encoder_(config.embedding_dim, config.hidden, generator, both_directions()),
      decoder_(config.embedding_dim, 2 * config.hidden, generator),
      key_(2 * config.hidden, 2 * config.hidden, generator, false),
      combine_(4 * config.hidden, 2 * config.hidden, generator, false),
      output_(2 * config.hidden, target_size, generator) {
  child("source_embedding", source_embedding_);
  child("target_embedding", target_embedding_);
  child("encoder", encoder_);
  child("decoder", decoder_);
  child("key", key_);
  child("combine", combine_);
  child("output", output_);
}

Translator::Encoded Translator::encode(const gradwalk::IdSequences& source) const {
  const auto out = encoder_(source_embedding_(source));
  const std::size_t T = source.ids.shape()[0], N = source.ids.shape()[1];
  const std::size_t D = out.last.shape(1);
  Array padding = gradwalk::full({N, 1, T}, 0);
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t t = source.lengths[n]; t < T; ++t) padding(n, 0, t) = 1;
  }
  const Tensor values = permute(out.output.values, {1, 0, 2});
  // From [2, N, H], one block for each direction, to [1, N, 2H].
  const auto side_by_side = [&](const Tensor& x) {
    return reshape(permute(x, {1, 0, 2}), {1, N, D});
  };
  return {{values, key_(values), Tensor(padding)}, {side_by_side(out.h_n), side_by_side(out.c_n)}};
}

Translator::Decoded Translator::decode(const Indices& ids, const Memory& memory,
                                       const State& state) const {
  const auto out = decoder_(target_embedding_(ids), state.h, state.c);
  const Tensor h = permute(out.output, {1, 0, 2});
  const Tensor scores = matmul(h, memory.keys, false, true);
  const Tensor weights =
      softmax(masked_fill(scores, memory.padding, -std::numeric_limits<Real>::infinity()), 2);
  const Tensor context = matmul(weights, memory.values);
  const Tensor logits = output_(tanh(combine_(gradwalk::concat({context, h}, 2))));
  return {logits, weights, {out.h_n, out.c_n}};
}

gradwalk::IdSequences make_batch(const std::vector<Ids>& sentences) {
  std::size_t T = 0;
  for (const auto& ids : sentences) T = std::max(T, ids.size());
  gradwalk::IdSequences batch{gradwalk::full<Indices>({T, sentences.size()}, Vocabulary::kPadding),
                              {}};
  for (std::size_t n = 0; n < sentences.size(); ++n) {
    for (std::size_t t = 0; t < sentences[n].size(); ++t) batch.ids(t, n) = sentences[n][t];
    batch.lengths.push_back(sentences[n].size());
  }
  return batch;
}

void save_model(const std::string& path, const Model& model) {
  const nlohmann::json config = {{"embedding_dim", model.config.embedding_dim},
                                 {"hidden", model.config.hidden}};
  const auto listed = [](const Vocabulary& vocabulary) {
    return nlohmann::json(vocabulary.tokens()).dump();
  };
  gradwalk::save_safetensors(path, model.translator->state_dict(),
                             {{"format", kFormat},
                              {"config", config.dump()},
                              {"source_vocabulary", listed(model.vocabularies.source)},
                              {"target_vocabulary", listed(model.vocabularies.target)}});
}

Model load_model(const std::string& path) {
  Model model;
  read_model_file(path, kFormat,
                  [&](const gradwalk::Checkpoint& file) { model = parse_model(file); });
  return model;
}

}  // namespace translate
