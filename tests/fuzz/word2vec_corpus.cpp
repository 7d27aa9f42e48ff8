#include "examples/word2vec/corpus.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::input(data, size);
  Corpus first;
  if (!fuzz::takes([&] { first = read_corpus(path, 1 + size % 2); })) return 0;
  std::string lines = "\xEF\xBB\xBF";  // or one of the text's would be taken off
  for (const auto& sentence : first.sentences) {
    for (std::int64_t id : sentence) lines += first.words[static_cast<std::size_t>(id)] + ' ';
    lines += '\n';
  }
  const Corpus again = read_corpus(fuzz::write("saved", lines), 1);
  fuzz::require(again.words == first.words && again.counts == first.counts &&
                    again.sentences == first.sentences && again.tokens == first.tokens,
                "a corpus must be read back");
  return 0;
}
