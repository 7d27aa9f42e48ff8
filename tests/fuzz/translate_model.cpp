#include "core/core.hpp"
#include "examples/model_file.hpp"
#include "examples/translate/corpus.hpp"
#include "examples/translate/search.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

std::string saved(const translate::Model& model, const char* to) {
  const std::string path = fuzz::path_of(to);
  save_model(path, model);
  return fuzz::read(path);
}

void use(const translate::Model& model) {
  const auto source = model.vocabularies.source.encode(translate::tokens("may 3rd"));
  try {
    for (const auto& ids : greedy(*model.translator, {source}, 3))
      model.vocabularies.target.decode(ids);
    beam_search(*model.translator, source, 2, 3);
  } catch (const Overflow&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::input(data, size);
  translate::Model model;
  if (!fuzz::takes([&] { model = translate::load_model(path); })) return 0;
  const std::string first = saved(model, "saved");
  model = translate::load_model(fuzz::path_of("saved"));
  fuzz::require(saved(model, "again") == first, "a model must be read back");
  use(model);
  return 0;
}
