// From files to batches: label<TAB>text lines, tokens, a vocabulary, and ids padded to rectangles.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/indices.hpp"
#include "core/random.hpp"

struct Example {
  std::size_t label;
  std::string text;
};

// Reads label<TAB>text lines. The training file defines the classes: its labels must be 0..C-1,
// each present, C >= 2. Other files are read with that C as num_classes and must stay below it.
// Throws gradwalk::FileError, "file:line: ...".
std::vector<Example> read_examples(const std::string& path,
                                   std::optional<std::size_t> num_classes = {});
std::size_t count_classes(const std::vector<Example>& examples);

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
