#include "core/core.hpp"
#include "examples/char_lm/model.hpp"
#include "examples/model_file.hpp"
#include "examples/text.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

std::string saved(const char_lm::LanguageModel& m, const char* to) {
  const std::string path = fuzz::path_of(to);
  save_model(path, m.config, m.alphabet, *m.model);
  return fuzz::read(path);
}

void use(const char_lm::LanguageModel& m, gradwalk::Generator& generator) {
  try {
    const std::string text = write_text(*m.model, m.alphabet, "ab", 3, 0.5, generator);
    fuzz::require(is_utf8(text) && characters(text).size() == 5, "a model must write a text");
  } catch (const Overflow&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::input(data, size);
  gradwalk::Generator generator;
  char_lm::LanguageModel model;
  if (!fuzz::takes([&] { model = char_lm::load_model(path, generator); })) return 0;
  const std::string first = saved(model, "saved");
  model = char_lm::load_model(fuzz::path_of("saved"), generator);
  fuzz::require(saved(model, "again") == first, "a model must be read back");
  use(model, generator);
  return 0;
}
