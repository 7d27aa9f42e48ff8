// Words and a vector for each: read from the usual files, looked up, compared, written, and put
// into the table of an embedding. N words have vectors [N, D]. Wrong arguments throw
// std::invalid_argument, files that are wrong or cannot be written FileError.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/indices.hpp"
#include "core/random.hpp"
#include "core/text.hpp"

namespace gradwalk {

// Where each word of a list stands. The list stays with its owner, who passes it in: the index
// itself is 8 to 16 bytes a word.
class WordIndex {
 public:
  std::optional<std::size_t> find(const std::vector<std::string>& words,
                                  std::string_view word) const;
  // Takes up words[row], after all rows before it; false if an earlier row holds the same word.
  // Throws std::invalid_argument from row 2^32 - 1 on.
  bool add(const std::vector<std::string>& words, std::size_t row);

 private:
  std::size_t slot(const std::vector<std::string>& words, std::string_view word) const;

  // Open addressing: row + 1, or 0 where a slot is free. A power of two, at most half full.
  std::vector<std::uint32_t> slots_;
};

class WordVectors {
 public:
  // What nearest() and analogy() find: a word and its cosine.
  struct Neighbour {
    std::string word;
    double similarity;
  };

  // vectors [N, D], D >= 1, one for each of N distinct words; their lengths at most half of the
  // greatest Real. Anything else throws std::invalid_argument.
  WordVectors(std::vector<std::string> words, Array vectors);

  std::size_t size() const { return words_.size(); }
  std::size_t dim() const { return vectors_.shape(1); }
  const std::vector<std::string>& words() const { return words_; }
  const Array& vectors() const { return vectors_; }
  std::optional<std::size_t> find(std::string_view word) const;  // its row

  // Below, words must be among words(), or std::out_of_range is thrown.

  // cos(a, b) = a . b / |a| |b|; 0 where a vector is zero.
  double similarity(std::string_view a, std::string_view b) const;
  // The k words of the greatest cosine, the greatest first, equal ones in the order of their rows.
  // Exact: one product with the whole table. A vector that is not [D], or not of finite length,
  // throws std::invalid_argument.
  std::vector<Neighbour> nearest(std::string_view word, std::size_t k) const;  // others than `word`
  std::vector<Neighbour> nearest(const Array& vector, std::size_t k) const;    // to vector [D]
  // a is to b as c is to ...: nearest to b / |b| - a / |a| + c / |c|, without the three (3CosAdd).
  // https://aclanthology.org/N13-1090
  std::vector<Neighbour> analogy(std::string_view a, std::string_view b, std::string_view c,
                                 std::size_t k) const;

 private:
  std::size_t row_of(const char* op, std::string_view word) const;
  std::vector<double> unit(std::size_t row) const;
  std::vector<Neighbour> nearest_to(const std::vector<double>& vector, std::size_t k,
                                    const std::vector<std::size_t>& without) const;

  std::vector<std::string> words_;
  Array vectors_;
  WordIndex index_;
  std::vector<double> norms_;  // [N]
};

// ---- files: word_vector_files.cpp ----
// GloVe text        `word v1 ... vD`, one line each
// word2vec text     the same below a line `count D`; fastText's .vec is this
// word2vec binary   a line `count D`, then for each word `word `, D floats (32 bits, little-endian)
//                   and perhaps \n
// https://nlp.stanford.edu/projects/glove
// https://code.google.com/archive/p/word2vec
//
// A first line of two whole numbers is a header. Below it the file is text if its second line is,
// and else binary. Without one, the first line decides D: its word has no blanks.
//
// In text the last D fields of a line are the numbers and all before them is the word, blanks
// inside included, byte for byte; \r\n, a byte-order mark, blanks at either end of a line, empty
// lines and a missing last \n do no harm. Numbers are rounded correctly. A row that begins with a
// blank and holds D numbers alone has no word and is skipped.
struct ReadOptions {
  // Kept are the first max_words words of the file and those that are `wanted`; with neither, all.
  std::size_t max_words = 0;
  std::function<bool(std::string_view)> wanted;
};
struct ReadReport {
  std::string format;          // as named above
  std::size_t rows = 0;        // read, kept or not; with max_words alone what follows is not
  std::size_t duplicates = 0;  // rows skipped since the word had been kept before: the first wins
  std::size_t skipped = 0;     // rows of text without a word: it was a blank
};
// Reads the file once, through a buffer; beside the table it needs the words, their index and 3 MB.
// Any bytes give vectors or a FileError with path and line, or byte in a binary: numbers missing,
// too many or not finite, counts that disagree, more announced than the file can hold. Refused as
// well: words over 1,000 bytes, vectors over 100,000 numbers, lines over 1 MiB. Compressed files
// and those of other tools are known by their first bytes: the error says what to do with them.
WordVectors read_word_vectors(const std::string& path, const ReadOptions& options = {},
                              ReadReport* report = nullptr);

// All or nothing: a temporary file that is renamed, or a FileError. Text is read back as the same
// numbers; binary holds floats, to which a build in double rounds. Words that would be read as
// something else throw std::invalid_argument: empty ones, over 1,000 bytes, or with blanks or line
// ends; so does, for binary, a number beyond float, and what is over the limits of the reader. The
// count of a binary that could be taken for text gets a 0 before it, which other readers overlook.
void save_word2vec_text(const std::string& path, const WordVectors& vectors);
void save_word2vec_binary(const std::string& path, const WordVectors& vectors);
// The two files of https://projector.tensorflow.org: D columns a line, and a word a line, in which
// blanks are allowed, tabs are not.
void save_projector(const std::string& vectors_tsv_path, const std::string& metadata_tsv_path,
                    const WordVectors& vectors);

// ---- into a table ----
enum class MissingRows { kNormal, kZero, kKeep };  // drawn, set to zero, or left as they are
struct Coverage {
  std::size_t found = 0, missing = 0;
  std::string missing_rows;  // "drawn from N(0, 0.38^2)", "set to zero" or "kept"
};
// table[i, :] = the vector of row_words[i]; the missing ones ~ N(0, s^2), where s^2 is the mean
// square of the numbers found (1 if there are none), or zero, or kept. A row without a word (""),
// say for padding, is kept and not counted.
// The table must be [row_words.size(), vectors.dim()], or std::invalid_argument is thrown.
Coverage fill_table(Array& table, const std::vector<std::string>& row_words,
                    const WordVectors& vectors, Generator& generator,
                    MissingRows missing = MissingRows::kNormal);

}  // namespace gradwalk
