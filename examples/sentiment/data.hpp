// From files to batches: label<TAB>text lines, tokens, a vocabulary, and ids padded to rectangles.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/array.hpp"
#include "core/random.hpp"

struct Example {
  std::size_t label;
  std::string text;
};

// True where the bytes are well-formed UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

// Reads label<TAB>text lines. The training file defines the classes: its labels must be 0..C-1,
// each present, C >= 2. Other files are read with that C as num_classes and must stay below it.
// Throws gradwalk::FileError, "file:line: ...".
std::vector<Example> read_examples(const std::string& path,
                                   std::optional<std::size_t> num_classes = {});
std::size_t count_classes(const std::vector<Example>& examples);

// Splits at blanks, then takes punctuation off the ends of each word, a run of the same character
// being one token: `Well... (not "bad"!)` -> Well ... ( not " bad " ! ). Views into `text`.
std::vector<std::string_view> tokenize(std::string_view text);

// A-Z to a-z; other letters stay as they are.
std::string lower(std::string_view word);

// How often each lower-cased token occurs.
std::unordered_map<std::string, std::size_t> count_words(const std::vector<Example>& examples);

class Vocabulary {
 public:
  static constexpr std::int64_t kPadding = 0, kUnknown = 1;

  Vocabulary();
  // The words seen at least min_count times, the most frequent first.
  Vocabulary(const std::unordered_map<std::string, std::size_t>& counts, std::size_t min_count);

  bool add(const std::string& word);  // false if it was there already
  std::int64_t id(std::string_view word) const;
  const std::vector<std::string>& words() const { return words_; }
  std::size_t size() const { return words_.size(); }

  // The first max_tokens tokens; an empty text is a single <unk>.
  std::vector<std::int64_t> encode(std::string_view text, std::size_t max_tokens) const;

 private:
  std::vector<std::string> words_;
  std::unordered_map<std::string, std::int64_t> ids_;
};

struct Sentence {
  std::vector<std::int64_t> ids;
  std::size_t label;
};
std::vector<Sentence> encode(const std::vector<Example>& examples, const Vocabulary& vocabulary,
                             std::size_t max_tokens);

// N sentences as the columns of a rectangle, the longest first.
struct Batch {
  gradwalk::Indices ids;             // [T, N], kPadding below the end of a sentence
  gradwalk::Indices labels;          // [N]
  std::vector<std::size_t> lengths;  // [N], decreasing
};

// Sentences of similar length share a batch, so that little is computed on padding. With a
// generator the order is random: only within chunks of some batches are lengths sorted.
std::vector<Batch> make_batches(const std::vector<Sentence>& sentences, std::size_t batch_size,
                                gradwalk::Generator* shuffle = nullptr);

// Word vectors from a text file: GloVe's (`word v1 v2 ...`) or word2vec's (the same after a line
// `count dim`).
struct WordVectors {
  std::size_t dim = 0;
  std::vector<std::string> words;
  std::vector<gradwalk::Real> values;  // [words, dim]
};

// Keeps the first max_words of the file, which are the most frequent ones, and all in `wanted`.
// Throws gradwalk::FileError, "file:line: ...".
WordVectors read_vectors(const std::string& path, std::size_t max_words,
                         const std::unordered_map<std::string, std::size_t>& wanted);
