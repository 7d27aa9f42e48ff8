// Text with a header or without, and binary: the reader finds out which.
#include "layers/files/word_vectors.hpp"

#include "tests/fuzz/fuzz.hpp"

using gradwalk::Array;
using gradwalk::Real;
using gradwalk::WordVectors;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::input(data, size), saved = fuzz::path_of("saved");
  gradwalk::ReadOptions options;
  options.max_words = size % 4;
  if (size % 3 == 0) options.wanted = [](std::string_view word) { return word.size() % 2 == 0; };
  std::optional<WordVectors> first;
  if (!fuzz::takes([&] { first.emplace(read_word_vectors(path, options)); })) return 0;
  const auto read_back = [&](const Array& vectors) {
    const WordVectors again = gradwalk::read_word_vectors(saved);
    fuzz::require(again.words() == first->words(), "words must be read back");
    fuzz::require(fuzz::same_bits(again.vectors(), vectors), "numbers must be read back");
  };
  try {
    save_word2vec_text(saved, *first);
    read_back(first->vectors());
    Array floats = first->vectors();
    for (Real& x : floats) x = static_cast<Real>(static_cast<float>(x));
    save_word2vec_binary(saved, *first);
    read_back(floats);
  } catch (const std::invalid_argument&) {  // blanks in words, which only some files can hold
  }
  return 0;
}
