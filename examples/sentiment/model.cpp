// The classifier and its file.
#include "examples/sentiment/model.hpp"

#include <algorithm>

#include "core/core.hpp"
#include "examples/model_file.hpp"
#include "layers/layers.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::Dropout;
using gradwalk::FileError;
using gradwalk::Generator;
using gradwalk::Module;
using gradwalk::Real;
using gradwalk::Sequences;
using gradwalk::Tensor;

namespace {

constexpr double kEmbeddingScale = 0.1;
constexpr const char* kFormat = "gradwalk sentiment 1";
constexpr std::size_t kWidths[] = {3, 4, 5};  // of the windows of cnn, in words
constexpr std::size_t kMaxLayers = 64;

template <class Layer, class Options>
Encoder recurrent(const ModelConfig& config, Generator& generator, const Dropout& dropout) {
  Options options;
  options.num_layers = config.layers;
  options.bidirectional = config.bidirectional;
  if (config.layers > 1) options.dropout = config.dropout;
  options.fused = config.fused;
  auto layer = std::make_unique<Layer>(config.embedding_dim, config.hidden, generator, options);
  return {[&layer = *layer, &dropout, pool = config.pool](const Sequences& words) {
            const auto out = layer({dropout(words.values), words.lengths});
            return pool == "last"   ? out.last
                   : pool == "mean" ? mean_pool(out.output)
                                    : max_pool(out.output);
          },
          config.kind, std::move(layer)};
}

class Convolutions : public Module {
 public:
  Convolutions(std::size_t embedding_dim, std::size_t hidden, Generator& generator) {
    for (std::size_t width : kWidths) {
      gradwalk::Conv1dOptions options;
      options.padding = width - 1;  // windows that reach over both ends, so any length has one
      convs_.push_back(
          std::make_unique<gradwalk::Conv1d>(embedding_dim, hidden, width, generator, options));
      child(std::to_string(convs_.size() - 1), *convs_.back());
    }
  }

  Tensor operator()(const Sequences& words) const {
    const Tensor x = permute(words.values, {1, 2, 0});  // [N, D, T]
    gradwalk::Tensors features;
    for (std::size_t i = 0; i < convs_.size(); ++i) {
      // Only the windows that hold a word of the sentence count: what is padded to the longest
      // of a batch is another sentence's business.
      Sequences windows{permute((*convs_[i])(x), {2, 0, 1}), words.lengths};
      for (std::size_t& length : windows.lengths) length += kWidths[i] - 1;
      features.push_back(relu(max_pool(windows)));  // the max of the relus
    }
    return concat(features, 1);
  }

 private:
  std::vector<std::unique_ptr<gradwalk::Conv1d>> convs_;
};

Encoder make_encoder(const ModelConfig& config, Generator& generator, const Dropout& dropout) {
  if (config.kind == "lstm")
    return recurrent<gradwalk::LSTM, gradwalk::LstmOptions>(config, generator, dropout);
  if (config.kind == "gru")
    return recurrent<gradwalk::GRU, gradwalk::RecurrentOptions>(config, generator, dropout);
  if (config.kind == "bag") return {gradwalk::mean_pool, "", nullptr};
  auto convs = std::make_unique<Convolutions>(config.embedding_dim, config.hidden, generator);
  return {[&convs = *convs](const Sequences& words) { return convs(words); }, "convs",
          std::move(convs)};
}

struct EncoderSize {
  std::size_t features, parameters;
};

EncoderSize size_of_encoder(const ModelConfig& config) {
  const std::size_t D = config.embedding_dim, H = config.hidden;
  if (config.kind == "bag") return {D, 0};
  EncoderSize size{0, 0};
  if (config.kind == "cnn") {
    for (std::size_t width : kWidths) {
      size.features += H;
      size.parameters += H * (width * D + 1);
    }
    return size;
  }
  const std::size_t directions = config.bidirectional ? 2 : 1,
                    gates = config.kind == "lstm" ? 4 : 3;
  size.features = directions * H;
  for (std::size_t layer = 0; layer < config.layers; ++layer)
    size.parameters += directions * gates * H * ((layer == 0 ? D : directions * H) + H + 2);
  return size;
}

nlohmann::json to_json(const ModelConfig& config) {
  return {{"model", config.kind},
          {"embedding_dim", config.embedding_dim},
          {"hidden", config.hidden},
          {"layers", config.layers},
          {"bidirectional", config.bidirectional},
          {"pool", config.pool},
          {"num_classes", config.num_classes},
          {"max_tokens", config.max_tokens},
          {"dropout", config.dropout}};
}

Classifier parse_classifier(const gradwalk::Checkpoint& file, Generator& generator, bool fused) {
  nlohmann::json json = to_json({});  // older files name fewer of them
  json.update(config_of(file));
  Classifier out;
  out.config.fused = fused;
  out.config.kind = choice_at(json, "model", {"lstm", "gru", "cnn", "bag"});
  out.config.embedding_dim = size_at(json, "embedding_dim", 1, 1 << 16);
  out.config.hidden = size_at(json, "hidden", 1, 1 << 16);
  out.config.layers = size_at(json, "layers", 1, kMaxLayers);
  out.config.bidirectional = flag_at(json, "bidirectional");
  out.config.pool = choice_at(json, "pool", {"last", "mean", "max"});
  out.config.num_classes = size_at(json, "num_classes", 2, 1 << 16);
  out.config.max_tokens = size_at(json, "max_tokens", 1, 1 << 30);

  const std::vector<std::string> words = texts_of(file, "vocabulary");
  check<FileError>(words.size() >= 2 && words[0] == out.vocabulary.words()[0] &&
                       words[1] == out.vocabulary.words()[1],
                   "the vocabulary does not start with <pad> and <unk>");
  for (std::size_t i = 2; i < words.size(); ++i) {
    check<FileError>(out.vocabulary.add(words[i]), "the vocabulary holds ",
                     gradwalk::in_quotes(words[i]), " twice");
  }

  // A model of this configuration is not allocated before the file is known to be as large.
  const EncoderSize encoder = size_of_encoder(out.config);
  const std::size_t needed = words.size() * out.config.embedding_dim + encoder.parameters +
                             out.config.num_classes * (encoder.features + 1);
  std::size_t held = 0;
  for (const auto& entry : file.tensors) held += entry.second.size();
  check<FileError>(held == needed, "a model of its configuration and vocabulary has ", needed,
                   " weights, the file holds ", held);
  out.model = std::make_unique<SentimentModel>(out.config, words.size(), generator);
  out.model->load_state_dict(file.tensors);
  out.model->eval();
  return out;
}

}  // namespace

SentimentModel::SentimentModel(const ModelConfig& config, std::size_t vocabulary_size,
                               Generator& generator, bool sparse)
    : dropout_(config.dropout, generator),
      linear_(size_of_encoder(config).features, config.num_classes, generator) {
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
    child("embedding", *embedding_);
  }
  encoder_ = make_encoder(config, generator, dropout_);
  if (encoder_.layers) child(encoder_.name, *encoder_.layers);
  child("dropout", dropout_);
  child("linear", linear_);
  // N(0, 1) is large: rare words would stay near where chance put them.
  Tensor weight = table();
  for (Real& w : weight.mutable_value()) w *= static_cast<Real>(kEmbeddingScale);
}

const Tensor& SentimentModel::table() const { return bag_ ? bag_->weight() : embedding_->weight(); }

Tensor SentimentModel::operator()(const Batch& batch) const {
  if (embedding_) {
    return linear_(dropout_(encoder_.encode({(*embedding_)(batch.ids), batch.lengths})));
  }
  const std::size_t T = batch.ids.shape()[0], N = batch.ids.shape()[1];
  gradwalk::Indices bags = gradwalk::empty<gradwalk::Indices>({N, T});  // a sentence is a row
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t t = 0; t < T; ++t) bags.data()[n * T + t] = batch.ids.data()[t * N + n];
  }
  return linear_(dropout_((*bag_)(bags)));
}

SentimentModel::Decision SentimentModel::explain(const std::vector<std::int64_t>& ids) const {
  gradwalk::Indices column = gradwalk::empty<gradwalk::Indices>({ids.size(), 1});
  std::copy(ids.begin(), ids.end(), column.data());
  // The vectors as a leaf, so that each has a gradient.
  const Tensor embedded(gather_rows(table(), column).value(), true);
  const Tensor logits = linear_(encoder_.encode({embedded, {ids.size()}}));
  check_finite(logits.value());
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
  gradwalk::save_safetensors(path, model.state_dict(),
                             {{"format", kFormat},
                              {"config", to_json(config).dump()},
                              {"vocabulary", nlohmann::json(vocabulary.words()).dump()}});
}

Classifier load_classifier(const std::string& path, Generator& generator, bool fused) {
  Classifier out;
  read_model_file(path, kFormat, [&](const gradwalk::Checkpoint& file) {
    out = parse_classifier(file, generator, fused);
  });
  return out;
}
