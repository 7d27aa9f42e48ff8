#include "core/core.hpp"
#include "examples/model_file.hpp"
#include "examples/sentiment/model.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

std::string saved(const Classifier& c, const char* to) {
  const std::string path = fuzz::path_of(to);
  save_classifier(path, c.config, c.vocabulary, *c.model);
  return fuzz::read(path);
}

void use(const Classifier& c) {
  const auto sentence = c.vocabulary.encode("not a good film", c.config.max_tokens);
  try {
    const auto decision = c.model->explain(sentence);
    fuzz::require(decision.label < c.config.num_classes, "a class must be chosen");
  } catch (const Overflow&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::input(data, size);
  gradwalk::Generator generator;
  Classifier model;
  if (!fuzz::takes([&] { model = load_classifier(path, generator); })) return 0;
  const std::string first = saved(model, "saved");
  model = load_classifier(fuzz::path_of("saved"), generator);
  fuzz::require(saved(model, "again") == first, "a model must be read back");
  use(model);
  return 0;
}
