// Readers that turn any bytes into data or into one clear error, and the batches.
#include "examples/sentiment/data.hpp"

#include <algorithm>
#include <fstream>
#include <numeric>

#include "core/error.hpp"
#include "core/text.hpp"
#include "examples/text.hpp"

using gradwalk::check;
using gradwalk::FileError;

namespace {

constexpr std::size_t kMaxClasses = 1000;
constexpr std::size_t kChunkBatches = 50;

bool parse_count(std::string_view field, std::size_t& value) {
  if (field.empty() || field.size() > 9) return false;
  value = 0;
  for (char c : field) {
    if (c < '0' || c > '9') return false;
    value = 10 * value + static_cast<std::size_t>(c - '0');
  }
  return true;
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

std::vector<Example> read_examples(const std::string& path,
                                   std::optional<std::size_t> num_classes) {
  std::ifstream in = open_text(path);
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
      fail("label ", gradwalk::in_quotes(std::string_view(line).substr(0, tab)),
           " is not a whole number from 0 to ", kMaxClasses - 1);
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
