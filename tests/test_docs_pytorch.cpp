// The C++ of docs/pytorch.md: the document shows pieces of this file.
#include <fstream>
#include <sstream>

#include "core/core.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace gradwalk;

namespace {

class Sentiment : public Module {
 public:
  Sentiment(std::size_t words, std::size_t dim, std::size_t hidden, std::size_t classes,
            Generator& generator)
      : embedding_(words, dim, generator, with_padding()),
        lstm_(dim, hidden, generator),
        dropout_(0.5, generator),
        linear_(hidden, classes, generator) {
    child("embedding", embedding_);
    child("lstm", lstm_);
    child("dropout", dropout_);
    child("linear", linear_);
  }
  Tensor operator()(const IdSequences& batch) const {
    const Sequences x = embedding_(batch);
    return linear_(dropout_(lstm_(Sequences{dropout_(x.values), x.lengths}).last));
  }

 private:
  static EmbeddingOptions with_padding() {
    EmbeddingOptions options;
    options.padding_idx = 0;
    return options;
  }
  Embedding embedding_;
  LSTM lstm_;
  Dropout dropout_;
  Linear linear_;
};

// The lines without what they are indented by.
std::string flush_left(std::istream&& in) {
  std::string all, line;
  while (std::getline(in, line)) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin != std::string::npos) all += line.substr(begin) + '\n';
  }
  return all;
}

}  // namespace

TEST_CASE("docs pytorch: the model trains, and loads what it saved", "[docs]") {
  const tests::Folder folder;
  const std::string path = folder / "model.safetensors";

  Generator generator(1);
  Sentiment model(10, 8, 16, 2, generator);

  const IdSequences batch{Indices{{3, 7}, {7, 3}, {5, 0}}, {3, 2}};
  const Indices targets{0, 1};

  const CrossEntropyLoss cross_entropy;
  AdamOptions options;
  options.lr = 1e-2;
  options.policy = SparsePolicy::kExact;
  Adam adam(model.parameters(), options);

  model.train();
  for (int step = 1; step <= 100; ++step) {
    const Tensor loss = cross_entropy(model(batch), targets);
    adam.zero_grad();
    backward(loss);
    clip_grad_norm(model.parameters(), 5);
    adam.step();
  }

  model.eval();
  const NoGrad no_grad;
  const Array probabilities = softmax(model(batch), 1).value();
  CHECK(probabilities(0, 0) > 0.9);
  CHECK(probabilities(1, 1) > 0.9);

  save_safetensors(path, model.state_dict());

  Sentiment again(10, 8, 16, 2, generator);
  again.load_state_dict(load_safetensors(path).tensors);
  again.eval();
  CHECK((softmax(again(batch), 1).value() == probabilities));

  StateDict run;
  add_part(run, "model", model.state_dict());
  add_part(run, "optimizer", adam.state_dict());
  add_part(run, "generator", generator.state_dict());
  save_safetensors(path, run);

  StateValues saved = load_safetensors(path).tensors;
  model.load_state_dict(take_part(saved, "model"));
  adam.load_state_dict(take_part(saved, "optimizer"));
  generator.load_state_dict(take_part(saved, "generator"));
  CHECK((softmax(model(batch), 1).value() == probabilities));
}

TEST_CASE("docs pytorch: the C++ shown is compiled", "[docs]") {
  std::ifstream document(GRADWALK_SOURCE_DIR "/docs/pytorch.md");
  const std::string source =
      flush_left(std::ifstream(GRADWALK_SOURCE_DIR "/tests/test_docs_pytorch.cpp"));
  std::string line;
  int blocks = 0;
  while (std::getline(document, line)) {
    if (line != "```cpp") continue;
    std::string block;
    while (std::getline(document, line) && line != "```") block += line + '\n';
    CHECK_THAT(source, ContainsText(flush_left(std::istringstream(block))));
    ++blocks;
  }
  CHECK(blocks == 8);
}
