// label<TAB>text lines, and the batches that are made of them.
#include "examples/sentiment/data.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::input(data, size);
  std::vector<Example> first;
  fuzz::takes([&] { first = read_examples(path, 3); });
  if (!fuzz::takes([&] { first = read_examples(path); })) return 0;
  std::string lines;
  for (const Example& e : first) lines += std::to_string(e.label) + '\t' + e.text + "\r\n";
  const std::vector<Example> again = read_examples(fuzz::write("saved", lines));
  fuzz::require(std::equal(first.begin(), first.end(), again.begin(), again.end(),
                           [](const Example& a, const Example& b) {
                             return a.label == b.label && a.text == b.text;
                           }),
                "examples must be read back");

  const Vocabulary vocabulary(count_words(first), 1 + size % 2);
  gradwalk::Generator generator;
  std::size_t sentences = 0;
  for (const Batch& batch : make_batches(encode(first, vocabulary, 20), 3, &generator)) {
    sentences += batch.lengths.size();
    for (std::int64_t id : batch.ids)
      fuzz::require(id >= 0 && std::size_t(id) < vocabulary.size(), "ids must be the vocabulary's");
    for (std::int64_t label : batch.labels)
      fuzz::require(std::size_t(label) < count_classes(first), "labels must be of the classes");
  }
  fuzz::require(sentences == first.size(), "every sentence must be in a batch");
  return 0;
}
