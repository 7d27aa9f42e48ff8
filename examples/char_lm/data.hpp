// From files to the ids of characters, and the pieces that training reads.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/indices.hpp"

namespace char_lm {

// README.md and docs/*.md below `root`. Throws gradwalk::FileError where they are gone.
std::vector<std::string> documents_of(const std::string& root);
// The files one after the other, with lines as next_line() sees them. Throws gradwalk::FileError,
// "file:line: ...".
std::string read_texts(const std::vector<std::string>& paths);

// The characters a model knows; all others are <unk>.
class Alphabet {
 public:
  static constexpr std::int64_t kUnknown = 0;

  Alphabet() : characters_{"<unk>"} {}
  // Those that occur at least twice: one seen once cannot be learned, and <unk> needs examples.
  explicit Alphabet(const std::vector<std::string_view>& text);

  bool add(std::string_view character);  // false if it was there already
  std::vector<std::int64_t> encode(const std::vector<std::string_view>& text) const;
  const std::vector<std::string>& characters() const { return characters_; }  // by id
  std::size_t size() const { return characters_.size(); }

 private:
  std::vector<std::string> characters_;
  std::unordered_map<std::string, std::int64_t> ids_;
};

// Some steps of a text that is read at N places at once.
struct Chunk {
  gradwalk::Indices ids;      // [T, N]
  gradwalk::Indices targets;  // [T * N]: of each id the one that follows in the text
};

constexpr std::size_t kShortestColumn = 500;

// Cuts the text into `batch` columns of equal length, which are read side by side, `length` steps
// at a time: in the next chunk each column goes on where it stopped. A column starts without
// knowing what went before, so there are fewer where they would be shorter than kShortestColumn.
// Left out at the end of the text: fewer characters than there are columns.
std::vector<Chunk> make_chunks(const std::vector<std::int64_t>& text, std::size_t batch,
                               std::size_t length);

}  // namespace char_lm
