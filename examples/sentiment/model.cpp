// The classifier and its file.
#include "examples/sentiment/model.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::FileError;
using gradwalk::Generator;
using gradwalk::Real;
using gradwalk::Shape;
using gradwalk::Tensor;

namespace {

constexpr double kEmbeddingScale = 0.1;
constexpr const char* kFormat = "gradwalk sentiment 1";

std::size_t size_at(const nlohmann::json& config, const char* key, std::size_t low,
                    std::size_t high) {
  const nlohmann::json& value = config.at(key);
  check<FileError>(value.is_number_unsigned() && value >= low && value <= high, key,
                   " is not a number from ", low, " to ", high);
  return value.get<std::size_t>();
}

Classifier parse_classifier(gradwalk::Checkpoint& file, Generator& generator) {
  const auto format = file.metadata.find("format");
  check<FileError>(format != file.metadata.end() && format->second == kFormat,
                   "is not a model of this program");
  const auto json = nlohmann::json::parse(file.metadata.at("config"));
  Classifier out;
  out.config.kind = json.at("model").get<std::string>();
  check<FileError>(out.config.kind == "lstm" || out.config.kind == "bag", "unknown kind of model");
  out.config.embedding_dim = size_at(json, "embedding_dim", 1, 1 << 16);
  out.config.hidden = size_at(json, "hidden", 1, 1 << 16);
  out.config.num_classes = size_at(json, "num_classes", 2, 1 << 16);
  out.config.max_tokens = size_at(json, "max_tokens", 1, 1 << 30);
  out.config.dropout = json.at("dropout").get<double>();
  check<FileError>(out.config.dropout >= 0 && out.config.dropout < 1, "dropout is not in [0, 1)");

  const auto words =
      nlohmann::json::parse(file.metadata.at("vocabulary")).get<std::vector<std::string>>();
  check<FileError>(words.size() >= 2 && words[0] == out.vocabulary.words()[0] &&
                       words[1] == out.vocabulary.words()[1],
                   "the vocabulary does not start with <pad> and <unk>");
  for (std::size_t i = 2; i < words.size(); ++i) {
    check<FileError>(out.vocabulary.add(words[i]), "the vocabulary holds '", words[i], "' twice");
  }

  // The weights must fit the configuration before a model of its size is allocated.
  const auto expect = [&](const char* name, const Shape& shape) {
    const auto found = file.tensors.find(name);
    check<FileError>(found != file.tensors.end() && gradwalk::shape_of(found->second) == shape,
                     name, " is not of shape ", shape);
  };
  expect("embedding.weight", {words.size(), out.config.embedding_dim});
  if (out.config.kind == "lstm") {
    expect("lstm.weight_ih_l0", {4 * out.config.hidden, out.config.embedding_dim});
    expect("lstm.weight_hh_l0", {4 * out.config.hidden, out.config.hidden});
  }
  for (const auto& [name, values] : file.tensors) {
    check<FileError>(std::all_of(values.data(), values.data() + values.size(),
                                 [](Real x) { return std::isfinite(x); }),
                     name, " holds numbers that are not finite");
  }
  out.model = std::make_unique<SentimentModel>(out.config, words.size(), generator);
  out.model->load_state_dict(file.tensors);
  out.model->eval();
  return out;
}

}  // namespace

SentimentModel::SentimentModel(const ModelConfig& config, std::size_t vocabulary_size,
                               Generator& generator)
    : bag_(config.kind == "bag"),
      embedding_(vocabulary_size, config.embedding_dim, generator, {Vocabulary::kPadding, true}),
      embedding_dropout_(config.dropout, generator),
      dropout_(config.dropout, generator),
      lstm_(bag_
                ? nullptr
                : std::make_unique<gradwalk::LSTM>(config.embedding_dim, config.hidden, generator)),
      linear_(bag_ ? config.embedding_dim : config.hidden, config.num_classes, generator) {
  child("embedding", embedding_);
  child("embedding_dropout", embedding_dropout_);
  child("dropout", dropout_);
  if (lstm_) child("lstm", *lstm_);
  child("linear", linear_);
  // N(0, 1) is large: rare words would stay near where chance put them.
  Tensor weight = embedding_.weight();
  for (Real& w : weight.mutable_value()) w *= static_cast<Real>(kEmbeddingScale);
}

Tensor SentimentModel::classify(const Tensor& embedded,
                                const std::vector<std::size_t>& lengths) const {
  if (!bag_) return linear_(dropout_((*lstm_)(embedding_dropout_(embedded), lengths).h_n));
  Array share = gradwalk::empty({lengths.size(), 1});
  for (std::size_t n = 0; n < lengths.size(); ++n) {
    share.data()[n] = Real(1) / static_cast<Real>(lengths[n]);
  }
  return linear_(sum(embedding_dropout_(embedded), {0}) * Tensor(share));  // padding's row is zero
}

void SentimentModel::start_from(const WordVectors& vectors, const Vocabulary& vocabulary) {
  double squares = 0;
  for (Real x : vectors.values) squares += double(x) * double(x);
  const double spread = std::sqrt(squares / static_cast<double>(vectors.values.size()));
  Tensor handle = embedding_.weight();
  Array& weight = handle.mutable_value();
  for (Real& w : weight) w *= static_cast<Real>(spread / kEmbeddingScale);
  for (std::size_t i = 0; i < vectors.words.size(); ++i) {
    const std::int64_t row = vocabulary.id(vectors.words[i]);
    if (row == Vocabulary::kUnknown) continue;
    std::copy_n(vectors.values.data() + i * vectors.dim, vectors.dim,
                weight.data() + static_cast<std::size_t>(row) * vectors.dim);
  }
}

void save_classifier(const std::string& path, const ModelConfig& config,
                     const Vocabulary& vocabulary, const SentimentModel& model) {
  const nlohmann::json json = {{"model", config.kind},
                               {"embedding_dim", config.embedding_dim},
                               {"hidden", config.hidden},
                               {"num_classes", config.num_classes},
                               {"max_tokens", config.max_tokens},
                               {"dropout", config.dropout}};
  gradwalk::save_safetensors(path, model.state_dict(),
                             {{"format", kFormat},
                              {"config", json.dump()},
                              {"vocabulary", nlohmann::json(vocabulary.words()).dump()}});
}

Classifier load_classifier(const std::string& path, Generator& generator) {
  gradwalk::Checkpoint file = gradwalk::load_safetensors(path);
  try {
    return parse_classifier(file, generator);
  } catch (const std::exception& e) {  // whatever JSON or the shapes object to
    throw FileError(gradwalk::message(path, ": ", e.what()));
  }
}
