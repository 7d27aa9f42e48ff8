// Word vectors that others have trained: loaded, looked up by a function of one's own, compared.
#include <cstdio>

#include "core/core.hpp"
#include "examples/text.hpp"
#include "layers/files/word_vectors.hpp"
using namespace gradwalk;

namespace {

// Four numbers a word: royal, male, female, young.
WordVectors built_in() {
  return WordVectors({"king", "queen", "man", "woman", "prince", "princess", "boy", "girl"},
                     Array{{0.9, 0.8, 0.1, 0.1},
                           {0.9, 0.1, 0.8, 0.1},
                           {0.1, 0.9, 0.1, 0.1},
                           {0.1, 0.1, 0.9, 0.1},
                           {0.8, 0.8, 0.1, 0.8},
                           {0.8, 0.1, 0.8, 0.8},
                           {0.1, 0.8, 0.1, 0.9},
                           {0.1, 0.1, 0.8, 0.9}});
}

void print(const char* title, const std::vector<WordVectors::Neighbour>& neighbours) {
  std::printf("%s\n", printable(title).c_str());
  for (const auto& n : neighbours)
    std::printf("  %-12s %.3f\n", printable(n.word).c_str(), n.similarity);
}

int run(int argc, char** argv) {
  const std::string file = argc > 1 ? argv[1] : "";
  const std::vector<std::string> given(argv + std::min(argc, 2), argv + argc);
  const bool help = file == "--help" || file == "-h";
  if (help || given.size() == 2 || given.size() > 3) {
    std::puts(
        "usage: pretrained_lookup [FILE [WORD | A B C]]\n\n"
        "Neighbours of WORD, or: A is to B as C is to what?\n"
        "FILE holds word vectors: GloVe, word2vec (text or binary) or fastText .vec;\n"
        "without one, eight words are built in.");
    return help ? 0 : 2;
  }
  ReadReport read;
  const WordVectors vectors = file.empty() ? built_in() : read_word_vectors(file, {}, &read);
  check<FileError>(vectors.size() > 0, file, ": holds no word vectors");
  std::printf("%zu words, %zu numbers each\n", vectors.size(), vectors.dim());
  if (read.skipped > 0) std::printf("%zu rows without a word skipped\n", read.skipped);
  std::puts("");

  // The matrix is an array like any other, and a lookup is an op on it.
  const Tensor table(vectors.vectors());
  const auto lookup = [&](const std::vector<std::string>& words) {
    Indices ids = empty<Indices>({words.size()});
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto row = vectors.find(words[i]);
      check<std::out_of_range>(row.has_value(), "'", words[i], "' has no vector");
      ids(i) = static_cast<std::int64_t>(*row);
    }
    return gather_rows(table, ids);  // [words, D]
  };
  const std::vector<std::string> words = !given.empty() ? given
                                         : file.empty()
                                             ? std::vector<std::string>{"man", "king", "woman"}
                                             : std::vector<std::string>{vectors.words()[0]};
  const Tensor found = lookup(words);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::printf("%-8s [%.2f, %.2f, ...]\n", printable(words[i]).c_str(),
                double(found.value()(i, 0)), double(found.value()(i, vectors.dim() > 1 ? 1 : 0)));
  }
  std::puts("");
  print(("nearest to " + words.back()).c_str(), vectors.nearest(words.back(), 3));
  if (words.size() == 3) {
    print((words[0] + " is to " + words[1] + " as " + words[2] + " is to").c_str(),
          vectors.analogy(words[0], words[1], words[2], 3));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run_program("pretrained_lookup", run, argc, argv); }
