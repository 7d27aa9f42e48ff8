#include "examples/char_lm/model.hpp"

#include <algorithm>
#include <cmath>

#include "core/core.hpp"
#include "examples/model_file.hpp"
#include "examples/text.hpp"
#include "layers/layers.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::FileError;
using gradwalk::Generator;
using gradwalk::Indices;
using gradwalk::Real;
using gradwalk::Tensor;

namespace char_lm {
namespace {

constexpr const char* kFormat = "gradwalk char_lm 1";

gradwalk::LstmOptions lstm_options(const ModelConfig& config) {
  gradwalk::LstmOptions options;
  options.num_layers = config.layers;
  options.dropout = config.layers > 1 ? config.dropout : 0;  // it acts between layers
  return options;
}

LanguageModel parse_model(const gradwalk::Checkpoint& file, Generator& generator) {
  constexpr std::size_t kMost = 1 << 16;
  const nlohmann::json config = config_of(file);
  LanguageModel out;
  out.config = {size_at(config, "dim", 1, kMost), size_at(config, "hidden", 1, kMost),
                size_at(config, "layers", 1, kMost), 0};

  const std::vector<std::string> alphabet = texts_of(file, "alphabet");
  check<FileError>(alphabet.size() >= 2 && alphabet[0] == out.alphabet.characters()[0],
                   "the alphabet is not <unk> and some characters");
  for (std::size_t i = 1; i < alphabet.size(); ++i) {
    check<FileError>(characters(alphabet[i]).size() == 1 && out.alphabet.add(alphabet[i]),
                     "the alphabet holds ", gradwalk::in_quotes(alphabet[i]),
                     ", which is not one character or there twice");
  }

  const std::size_t H = out.config.hidden;
  check_shape(file, "embedding.weight", {alphabet.size(), out.config.dim});
  check_shape(file, "linear.weight", {alphabet.size(), H});
  for (std::size_t k = 0; k < out.config.layers; ++k) {
    const std::string suffix = "_l" + std::to_string(k);
    check_shape(file, "lstm.weight_ih" + suffix, {4 * H, k == 0 ? out.config.dim : H});
    check_shape(file, "lstm.weight_hh" + suffix, {4 * H, H});
  }
  out.model = std::make_unique<CharModel>(out.config, alphabet.size(), generator);
  out.model->load_state_dict(file.tensors);
  return out;
}

}  // namespace

CharModel::CharModel(const ModelConfig& config, std::size_t alphabet_size, Generator& generator)
    : embedding_(alphabet_size, config.dim, generator),
      lstm_(config.dim, config.hidden, generator, lstm_options(config)),
      dropout_(config.dropout, generator),
      linear_(config.hidden, alphabet_size, generator) {
  child("embedding", embedding_);
  child("lstm", lstm_);
  child("dropout", dropout_);
  child("linear", linear_);
}

Tensor CharModel::operator()(const Indices& ids, State& state) const {
  const auto out = lstm_(embedding_(ids), state.h, state.c);
  state = {out.h_n.detach(), out.c_n.detach()};
  return linear_(dropout_(reshape(out.output, {ids.size(), out.output.shape(2)})));
}

void save_model(const std::string& path, const ModelConfig& config, const Alphabet& alphabet,
                const CharModel& model) {
  const nlohmann::json json = {
      {"dim", config.dim}, {"hidden", config.hidden}, {"layers", config.layers}};
  gradwalk::save_safetensors(path, model.state_dict(),
                             {{"format", kFormat},
                              {"config", json.dump()},
                              {"alphabet", nlohmann::json(alphabet.characters()).dump()}});
}

LanguageModel load_model(const std::string& path, Generator& generator) {
  LanguageModel out;
  read_model_file(path, kFormat,
                  [&](const gradwalk::Checkpoint& file) { out = parse_model(file, generator); });
  return out;
}

std::int64_t draw(const Array& logits, double temperature, Generator& generator) {
  const Real* const first = logits.data() + Alphabet::kUnknown + 1;
  const Real* const end = logits.data() + logits.size();
  const Real* chosen = std::max_element(first, end);
  if (temperature > 0) {
    std::vector<double> sums;  // of exp((x - max) / temperature): the greatest is 1
    double sum = 0;
    for (const Real* x = first; x < end; ++x) {
      sums.push_back(sum += std::exp((double(*x) - double(*chosen)) / temperature));
    }
    const double u = generator.uniform() * sum;
    chosen = first + (std::upper_bound(sums.begin(), sums.end() - 1, u) - sums.begin());
  }
  return chosen - logits.data();
}

std::string write_text(CharModel& model, const Alphabet& alphabet, const std::string& prompt,
                       std::size_t num_characters, double temperature, Generator& generator) {
  check(temperature >= 0, "the temperature must not be negative, got ", temperature);
  const gradwalk::NoGrad no_grad;
  model.eval();
  const std::string start = '\n' + prompt;
  const std::vector<std::int64_t> ids = alphabet.encode(characters(start));
  State state;
  Array logits;
  const auto read = [&](std::int64_t id) {
    logits = model(gradwalk::full<Indices>({1, 1}, id), state).value();
    check_finite(logits);
  };
  for (std::int64_t id : ids) read(id);
  std::string text = prompt;
  for (std::size_t i = 0; i < num_characters && !interrupted(); ++i) {
    const std::int64_t id = draw(logits, temperature, generator);
    text += alphabet.characters()[static_cast<std::size_t>(id)];
    read(id);
  }
  return text;
}

}  // namespace char_lm
