// The classifier and its file.
#include "examples/sentiment/model.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/core.hpp"

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
  check<FileError>(file.metadata.count("config") == 1 && file.metadata.count("vocabulary") == 1,
                   "has no configuration or no vocabulary");
  const auto json = nlohmann::json::parse(file.metadata.at("config"));
  check<FileError>(json.is_object(), "its configuration must be an object");
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
    check<FileError>(out.vocabulary.add(words[i]), "the vocabulary holds ",
                     gradwalk::in_quotes(words[i]), " twice");
  }

  // The weights must fit the configuration before a model of its size is allocated.
  const auto expect = [&](const char* name, const Shape& shape) {
    const auto found = file.tensors.find(name);
    check<FileError>(found != file.tensors.end() && gradwalk::shape_of(found->second) == shape,
                     name, " is not of shape ", shape);
  };
  expect("embedding.weight", {words.size(), out.config.embedding_dim});
  expect("linear.weight",
         {out.config.num_classes,
          out.config.kind == "bag" ? out.config.embedding_dim : out.config.hidden});
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
                               Generator& generator, bool sparse)
    : embedding_dropout_(config.dropout, generator),
      dropout_(config.dropout, generator),
      linear_(config.kind == "bag" ? config.embedding_dim : config.hidden, config.num_classes,
              generator) {
  gradwalk::EmbeddingBagOptions options;
  options.padding_idx = Vocabulary::kPadding;
  options.sparse = sparse;
  if (config.kind == "bag") {
    bag_ = std::make_unique<gradwalk::EmbeddingBag>(vocabulary_size, config.embedding_dim,
                                                    generator, options);
    child("embedding", *bag_);
  } else {
    embedding_ = std::make_unique<gradwalk::Embedding>(vocabulary_size, config.embedding_dim,
                                                       generator, options);
    lstm_ = std::make_unique<gradwalk::LSTM>(config.embedding_dim, config.hidden, generator);
    child("embedding", *embedding_);
    child("lstm", *lstm_);
  }
  child("embedding_dropout", embedding_dropout_);
  child("dropout", dropout_);
  child("linear", linear_);
  // N(0, 1) is large: rare words would stay near where chance put them.
  Tensor weight = table();
  for (Real& w : weight.mutable_value()) w *= static_cast<Real>(kEmbeddingScale);
}

const Tensor& SentimentModel::table() const { return bag_ ? bag_->weight() : embedding_->weight(); }

Tensor SentimentModel::operator()(const Batch& batch) const {
  if (!bag_) return classify((*embedding_)(batch.ids), batch.lengths);
  const std::size_t T = batch.ids.shape()[0], N = batch.ids.shape()[1];
  gradwalk::Indices bags = gradwalk::empty<gradwalk::Indices>({N, T});  // a sentence is a row
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t t = 0; t < T; ++t) bags.data()[n * T + t] = batch.ids.data()[t * N + n];
  }
  return linear_(dropout_((*bag_)(bags)));
}

// embedded [T, N, D]
Tensor SentimentModel::classify(const Tensor& embedded,
                                const std::vector<std::size_t>& lengths) const {
  if (bag_) return linear_(dropout_(mean(embedded, {0})));
  return linear_(
      dropout_((*lstm_)(gradwalk::Sequences{embedding_dropout_(embedded), lengths}).last));
}

SentimentModel::Decision SentimentModel::explain(const std::vector<std::int64_t>& ids) const {
  gradwalk::Indices column = gradwalk::empty<gradwalk::Indices>({ids.size(), 1});
  std::copy(ids.begin(), ids.end(), column.data());
  // The vectors as a leaf, so that each has a gradient.
  const Tensor embedded(gather_rows(table(), column).value(), true);
  const Tensor logits = classify(embedded, {ids.size()});
  const Array p = softmax(logits, 1).value();
  Decision decision{{p.begin(), p.end()}, std::vector<double>(ids.size(), 0), 0};
  const std::size_t C = p.size(), D = embedded.shape(2);
  decision.label = static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
  Array weights = gradwalk::full({1, C}, Real(-1) / static_cast<Real>(C));
  weights.data()[decision.label] += 1;
  const Tensor score = sum(logits * Tensor(weights));
  const Tensor slope = gradwalk::dense(gradwalk::gradients(score, {embedded})[0]);
  for (std::size_t k = 0; k < embedded.size(); ++k) {
    decision.pushes[k / D] += double(slope.value().data()[k]) * double(embedded.value().data()[k]);
  }
  return decision;
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
