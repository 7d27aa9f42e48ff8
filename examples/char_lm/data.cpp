#include "examples/char_lm/data.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/error.hpp"
#include "core/text.hpp"
#include "examples/text.hpp"

using gradwalk::check;
using gradwalk::FileError;

namespace char_lm {

std::vector<std::string> documents_of(const std::string& root) {
  namespace fs = std::filesystem;
  const fs::path readme = fs::path(root) / "README.md", docs = fs::path(root) / "docs";
  check<FileError>(fs::is_regular_file(readme) && fs::is_directory(docs), root,
                   ": README.md and docs are no longer there; name a text file");
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(docs)) {
    if (entry.path().extension() == ".md") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  paths.insert(paths.begin(), readme.string());
  return paths;
}

std::string read_texts(const std::vector<std::string>& paths) {
  std::string text, line;
  for (const std::string& path : paths) {
    std::ifstream in = open_text(path);
    for (std::size_t number = 0; next_line(in, line, number);) {
      check<FileError>(is_utf8(line), path, ':', number, ": is not UTF-8");
      text += line + '\n';
    }
    check<FileError>(!in.bad(), path, ": cannot be read");
  }
  return text;
}

Alphabet::Alphabet(const std::vector<std::string_view>& text) : Alphabet() {
  std::map<std::string_view, std::size_t> counts;
  for (std::string_view character : text) ++counts[character];
  for (const auto& [character, count] : counts) {
    if (count >= 2) add(character);
  }
}

bool Alphabet::add(std::string_view character) {
  const bool added = ids_.emplace(character, static_cast<std::int64_t>(size())).second;
  if (added) characters_.emplace_back(character);
  return added;
}

std::vector<std::int64_t> Alphabet::encode(const std::vector<std::string_view>& text) const {
  std::vector<std::int64_t> ids;
  for (std::string_view character : text) {
    const auto found = ids_.find(std::string(character));
    ids.push_back(found == ids_.end() ? kUnknown : found->second);
  }
  return ids;
}

std::vector<Chunk> make_chunks(const std::vector<std::int64_t>& text, std::size_t batch,
                               std::size_t length) {
  const std::size_t N = std::clamp<std::size_t>(text.size() / kShortestColumn, 1, batch);
  const std::size_t steps = (text.size() - 1) / N;  // the last character has none after it
  std::vector<Chunk> chunks;
  for (std::size_t begin = 0; begin < steps; begin += length) {
    const std::size_t T = std::min(length, steps - begin);
    Chunk chunk{gradwalk::empty<gradwalk::Indices>({T, N}),
                gradwalk::empty<gradwalk::Indices>({T * N})};
    for (std::size_t i = 0; i < T * N; ++i) {
      const std::size_t at = i % N * steps + begin + i / N;  // of column i % N at step i / N
      chunk.ids.data()[i] = text[at];
      chunk.targets.data()[i] = text[at + 1];
    }
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

}  // namespace char_lm
