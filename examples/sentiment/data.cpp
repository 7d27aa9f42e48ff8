// Readers that turn any bytes into data or into one clear error, and the batches.
#include "examples/sentiment/data.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <unordered_set>

#include "core/error.hpp"

using gradwalk::check;
using gradwalk::FileError;
using gradwalk::Real;

namespace {

constexpr std::size_t kMaxClasses = 1000;
constexpr std::size_t kChunkBatches = 50;

std::ifstream open(const std::string& path) {
  check<FileError>(!std::filesystem::is_directory(path), path, ": is a directory, not a file");
  std::ifstream in(path, std::ios::binary);
  check<FileError>(in.is_open(), path, ": cannot be opened for reading");
  return in;
}

// Only \n ends a line: std::getline. Takes a \r before it off, and a byte-order mark in line 1.
bool next_line(std::istream& in, std::string& line, std::size_t& number) {
  if (!std::getline(in, line)) return false;
  if (++number == 1 && line.compare(0, 3, "\xEF\xBB\xBF") == 0) line.erase(0, 3);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return true;
}

// The length in bytes of a blank at the start of text, 0 if there is none. Besides ASCII's blanks:
// next line, no-break space, line and paragraph separator, ideographic space.
std::size_t blank_length(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r')) return 1;
  for (std::string_view blank :
       {"\xC2\x85", "\xC2\xA0", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE3\x80\x80"}) {
    if (text.substr(0, blank.size()) == blank) return blank.size();
  }
  return 0;
}

bool is_punctuation(char c) { return std::string_view(".,!?;:()\"").find(c) != std::string::npos; }

// Takes punctuation off both ends of a word without blanks.
void split_word(std::string_view word, std::vector<std::string_view>& tokens) {
  while (!word.empty() && is_punctuation(word.front())) {
    const std::size_t run = std::min(word.find_first_not_of(word.front()), word.size());
    tokens.push_back(word.substr(0, run));
    word.remove_prefix(run);
  }
  std::vector<std::string_view> ends;  // the last one first
  while (!word.empty() && is_punctuation(word.back())) {
    const std::size_t begin = word.find_last_not_of(word.back()) + 1;
    ends.push_back(word.substr(begin));
    word = word.substr(0, begin);
  }
  if (!word.empty()) tokens.push_back(word);
  tokens.insert(tokens.end(), ends.rbegin(), ends.rend());
}

bool parse_real(std::string_view field, Real& value) {
  char* end = nullptr;
  value = static_cast<Real>(std::strtod(field.data(), &end));  // stops at the blank or the 0
  return end == field.data() + field.size() && std::isfinite(value);
}

bool parse_count(std::string_view field, std::size_t& value) {
  if (field.empty() || field.size() > 9) return false;
  value = 0;
  for (char c : field) {
    if (c < '0' || c > '9') return false;
    value = 10 * value + static_cast<std::size_t>(c - '0');
  }
  return true;
}

std::vector<std::string_view> split_fields(std::string_view line) {
  std::vector<std::string_view> fields;
  for (std::size_t at = 0; (at = line.find_first_not_of(" \t", at)) != std::string::npos;) {
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    fields.push_back(line.substr(at, end - at));
    at = end;
  }
  return fields;
}

Batch make_batch(const std::vector<Sentence>& sentences, const std::size_t* rows, std::size_t n) {
  const std::size_t T = sentences[rows[0]].ids.size();
  Batch batch{gradwalk::full<gradwalk::Indices>({T, n}, Vocabulary::kPadding),
              gradwalk::empty<gradwalk::Indices>({n}), std::vector<std::size_t>(n)};
  for (std::size_t i = 0; i < n; ++i) {
    const Sentence& sentence = sentences[rows[i]];
    for (std::size_t t = 0; t < sentence.ids.size(); ++t) {
      batch.ids.data()[t * n + i] = sentence.ids[t];
    }
    batch.labels.data()[i] = static_cast<std::int64_t>(sentence.label);
    batch.lengths[i] = sentence.ids.size();
  }
  return batch;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t n = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (n == 0 || lead > 0xF4 || text.size() - i < n) return false;
    for (std::size_t k = 1; k < n; ++k) {
      const auto c = static_cast<unsigned char>(text[i + k]);
      // The second byte rules out overlong forms, surrogates and what is past U+10FFFF.
      const unsigned low = k > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
      const unsigned high = k > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
      if (c < low || c > high) return false;
    }
    i += n;
  }
  return true;
}

std::vector<Example> read_examples(const std::string& path,
                                   std::optional<std::size_t> num_classes) {
  std::ifstream in = open(path);
  std::vector<Example> examples;
  std::vector<std::size_t> first_line;  // where each label first occurs; 0: nowhere yet
  std::string line;
  for (std::size_t number = 0; next_line(in, line, number);) {
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    const auto fail = [&](const auto&... what) {
      throw FileError(gradwalk::message(path, ':', number, ": ", what...));
    };
    if (!is_utf8(line)) fail("is not UTF-8");
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos) fail("has no tab; a line is label<TAB>text");
    std::size_t label = 0;
    if (!parse_count(std::string_view(line).substr(0, tab), label) || label >= kMaxClasses) {
      fail("label '", line.substr(0, std::min<std::size_t>(tab, 20)),
           "' is not a whole number from 0 to ", kMaxClasses - 1);
    }
    if (num_classes && label >= *num_classes) {
      fail("label ", label, " does not occur in training, which has 0 to ", *num_classes - 1);
    }
    if (label >= first_line.size()) first_line.resize(label + 1);
    if (first_line[label] == 0) first_line[label] = number;
    examples.push_back({label, line.substr(tab + 1)});
  }
  check<FileError>(!in.bad(), path, ": cannot be read");
  check<FileError>(!examples.empty(), path, ": has no label<TAB>text lines");
  if (num_classes) return examples;

  const std::size_t present = first_line.size() - static_cast<std::size_t>(std::count(
                                                      first_line.begin(), first_line.end(), 0));
  check<FileError>(present >= 2, path, ": all labels are ", first_line.size() - 1,
                   "; training needs two classes or more");
  for (std::size_t c = 0; c < first_line.size(); ++c) {
    check<FileError>(first_line[c] != 0, path, ':', first_line.back(), ": label ",
                     first_line.size() - 1, " is here but label ", c,
                     " nowhere; labels are 0 to C - 1 without gaps");
  }
  return examples;
}

std::size_t count_classes(const std::vector<Example>& examples) {
  std::size_t most = 0;
  for (const Example& example : examples) most = std::max(most, example.label);
  return most + 1;
}

std::vector<std::string_view> tokenize(std::string_view text) {
  std::vector<std::string_view> tokens;
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t blank = at == text.size() ? 1 : blank_length(text.substr(at));
    if (blank > 0) {
      split_word(text.substr(begin, at - begin), tokens);
      begin = at + blank;
    }
    at += std::max<std::size_t>(blank, 1);
  }
  return tokens;
}

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::unordered_map<std::string, std::size_t> count_words(const std::vector<Example>& examples) {
  std::unordered_map<std::string, std::size_t> counts;
  for (const Example& example : examples) {
    for (std::string_view token : tokenize(example.text)) ++counts[lower(token)];
  }
  return counts;
}

// A text that spells <pad> or <unk> means neither: both words read as unknown.
Vocabulary::Vocabulary()
    : words_{"<pad>", "<unk>"}, ids_{{"<pad>", kUnknown}, {"<unk>", kUnknown}} {}

Vocabulary::Vocabulary(const std::unordered_map<std::string, std::size_t>& counts,
                       std::size_t min_count)
    : Vocabulary() {
  std::vector<std::pair<std::string, std::size_t>> order(counts.begin(), counts.end());
  // Ties by spelling: the order of an unordered_map differs between standard libraries.
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  for (const auto& [word, count] : order) {
    if (count >= min_count) add(word);
  }
}

bool Vocabulary::add(const std::string& word) {
  const bool added = ids_.emplace(word, static_cast<std::int64_t>(size())).second;
  if (added) words_.push_back(word);
  return added;
}

std::int64_t Vocabulary::id(std::string_view word) const {
  const auto found = ids_.find(lower(word));
  return found == ids_.end() ? kUnknown : found->second;
}

std::vector<std::int64_t> Vocabulary::encode(std::string_view text, std::size_t max_tokens) const {
  std::vector<std::int64_t> ids;
  for (std::string_view token : tokenize(text)) {
    if (ids.size() == max_tokens) break;
    ids.push_back(id(token));
  }
  if (ids.empty()) ids.push_back(kUnknown);
  return ids;
}

std::vector<Sentence> encode(const std::vector<Example>& examples, const Vocabulary& vocabulary,
                             std::size_t max_tokens) {
  std::vector<Sentence> sentences;
  for (const Example& example : examples) {
    sentences.push_back({vocabulary.encode(example.text, max_tokens), example.label});
  }
  return sentences;
}

std::vector<Batch> make_batches(const std::vector<Sentence>& sentences, std::size_t batch_size,
                                gradwalk::Generator* shuffle) {
  std::vector<std::size_t> order(sentences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (shuffle) shuffle->shuffle(order);
  const std::size_t chunk = shuffle ? kChunkBatches * batch_size : order.size();
  std::vector<Batch> batches;
  for (std::size_t begin = 0; begin < order.size(); begin += chunk) {
    const std::size_t end = std::min(begin + chunk, order.size());
    std::stable_sort(order.data() + begin, order.data() + end, [&](std::size_t a, std::size_t b) {
      return sentences[a].ids.size() > sentences[b].ids.size();
    });
    for (std::size_t at = begin; at < end; at += batch_size) {
      batches.push_back(make_batch(sentences, order.data() + at, std::min(batch_size, end - at)));
    }
  }
  if (!shuffle) return batches;
  std::vector<std::size_t> batch_order(batches.size());
  std::iota(batch_order.begin(), batch_order.end(), std::size_t{0});
  shuffle->shuffle(batch_order);
  std::vector<Batch> shuffled;
  for (std::size_t i : batch_order) shuffled.push_back(std::move(batches[i]));
  return shuffled;
}

WordVectors read_vectors(const std::string& path, std::size_t max_words,
                         const std::unordered_map<std::string, std::size_t>& wanted) {
  std::ifstream in = open(path);
  WordVectors vectors;
  std::optional<std::size_t> announced;  // word2vec's header
  std::unordered_set<std::string> seen;
  std::size_t rows = 0;
  std::string line;
  std::vector<Real> row;
  for (std::size_t number = 0; next_line(in, line, number);) {
    const std::vector<std::string_view> fields = split_fields(line);
    if (fields.empty()) continue;
    const auto fail = [&](const auto&... what) {
      throw FileError(gradwalk::message(path, ':', number, ": ", what...));
    };
    if (!is_utf8(line)) fail("is not UTF-8; word vectors are read as text");
    std::size_t count = 0, dim = 0;
    if (number == 1 && fields.size() == 2 && parse_count(fields[0], count) &&
        parse_count(fields[1], dim) && dim > 0) {
      announced = count;
      vectors.dim = dim;
      continue;
    }
    if (vectors.dim == 0) vectors.dim = fields.size() - 1;
    if (fields.size() < 2 || fields.size() < vectors.dim + 1) {
      fail("holds ", fields.size() - 1, " numbers after the word, not ", vectors.dim);
    }
    const std::size_t first = fields.size() - vectors.dim;
    row.resize(vectors.dim);
    for (std::size_t k = 0; k < vectors.dim; ++k) {
      if (!parse_real(fields[first + k], row[k])) {
        fail("'", fields[first + k].substr(0, 20), "' is not a finite number");
      }
    }
    Real extra;  // a few words of GloVe's large files hold blanks; numbers are not part of a word
    if (first > 1 && parse_real(fields[first - 1], extra)) {
      fail("holds more than ", vectors.dim, " numbers after the word");
    }
    ++rows;
    const auto word_length = static_cast<std::size_t>(fields[first - 1].data() +
                                                      fields[first - 1].size() - fields[0].data());
    std::string word(fields[0].data(), word_length);
    if ((rows <= max_words || wanted.count(word)) && seen.insert(word).second) {
      vectors.words.push_back(std::move(word));
      vectors.values.insert(vectors.values.end(), row.begin(), row.end());
    }
  }
  check<FileError>(!in.bad() && rows > 0, path, ": holds no word vectors");
  check<FileError>(!announced || *announced == rows, path, ": line 1 announces ",
                   announced.value_or(0), " vectors, the file holds ", rows);
  return vectors;
}
