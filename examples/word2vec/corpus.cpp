#include "examples/word2vec/corpus.hpp"

#include <algorithm>
#include <numeric>
#include <sstream>

#include "core/error.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "examples/text.hpp"

using gradwalk::check;
using gradwalk::FileError;

namespace {

constexpr std::size_t kMaxSentence = 1000;  // some texts are one line
constexpr std::size_t kMaxWord = 1000;      // as in files of word vectors

// Collects words under provisional ids, in order of appearance.
class Builder {
 public:
  void begin_sentence() { sentences_.emplace_back(); }
  void add(std::string word) {
    if (sentences_.back().size() == kMaxSentence) begin_sentence();
    const auto next = static_cast<std::int64_t>(words_.size());
    const auto [at, is_new] = ids_.try_emplace(std::move(word), next);
    if (is_new) {
      words_.push_back(at->first);
      counts_.push_back(0);
    }
    ++counts_[static_cast<std::size_t>(at->second)];
    sentences_.back().push_back(at->second);
  }

  // Numbers the words by frequency and drops the rare ones.
  Corpus finish(std::size_t min_count) {
    std::vector<std::size_t> order(words_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return counts_[a] > counts_[b]; });
    Corpus corpus;
    std::vector<std::int64_t> new_id(words_.size(), -1);
    for (std::size_t old : order) {
      if (counts_[old] < min_count) break;
      new_id[old] = static_cast<std::int64_t>(corpus.words.size());
      corpus.words.push_back(words_[old]);
      corpus.counts.push_back(counts_[old]);
      corpus.tokens += counts_[old];
    }
    for (std::vector<std::int64_t>& sentence : sentences_) {
      for (std::int64_t& id : sentence) id = new_id[static_cast<std::size_t>(id)];
      sentence.erase(std::remove(sentence.begin(), sentence.end(), -1), sentence.end());
    }
    corpus.sentences = std::move(sentences_);
    return corpus;
  }

 private:
  std::unordered_map<std::string, std::int64_t> ids_;
  std::vector<std::string> words_;
  std::vector<std::size_t> counts_;
  std::vector<std::vector<std::int64_t>> sentences_;
};

// A word in capitals stands for any word of the group of that name.
constexpr const char* kTemplates[] = {
    "the ANIMAL sleeps in the barn",
    "a hungry ANIMAL chased the ANIMAL over the field",
    "feed the ANIMAL and brush its fur",
    "the ANIMAL ate my FOOD",
    "we cooked FOOD with fresh FOOD for dinner",
    "she ordered FOOD and some FOOD",
    "a plate of warm FOOD tastes good",
    "he painted the wall COLOUR and the door COLOUR",
    "a bright shade of COLOUR suits her",
    "the COUNTRY won against COUNTRY in the final",
    "they travelled from COUNTRY to COUNTRY last MONTH",
    "the capital and the people of COUNTRY",
    "it rained a lot in MONTH",
    "between MONTH and MONTH the school is closed",
    "her birthday is in early MONTH",
    "the TOOL and the TOOL lie on the workbench",
    "fix the shelf with a TOOL",
    "a rusty TOOL hung in the shed",
    "he plays the INSTRUMENT while she plays the INSTRUMENT",
    "a concert for INSTRUMENT and orchestra",
    "practise the INSTRUMENT every evening",
    "she wore a COLOUR CLOTHES and an old CLOTHES",
    "wash and iron the CLOTHES",
    "this CLOTHES does not fit me",
};

}  // namespace

const std::vector<Group>& built_in_groups() {
  static const std::vector<Group> groups = {
      {"ANIMAL",
       {"cat", "dog", "horse", "cow", "sheep", "goat", "rabbit", "pig", "donkey", "hamster"}},
      {"FOOD",
       {"bread", "soup", "rice", "cheese", "pasta", "salad", "fish", "beans", "potatoes", "cake"}},
      {"COLOUR",
       {"red", "blue", "green", "yellow", "purple", "orange", "white", "black", "brown", "pink"}},
      {"COUNTRY",
       {"france", "spain", "italy", "norway", "greece", "poland", "japan", "brazil", "kenya",
        "india"}},
      {"MONTH",
       {"january", "february", "march", "april", "may", "june", "july", "august", "october",
        "december"}},
      {"TOOL",
       {"hammer", "saw", "drill", "wrench", "chisel", "pliers", "file", "screwdriver", "axe",
        "plane"}},
      {"INSTRUMENT",
       {"piano", "violin", "flute", "cello", "guitar", "trumpet", "harp", "clarinet", "oboe",
        "drum"}},
      {"CLOTHES",
       {"shirt", "coat", "skirt", "dress", "jacket", "scarf", "hat", "sweater", "blouse", "vest"}},
  };
  return groups;
}

Corpus built_in_corpus() {
  constexpr std::size_t kSentences = 20000;
  std::unordered_map<std::string, const std::vector<std::string>*> group;
  for (const Group& g : built_in_groups()) group[g.name] = &g.words;
  gradwalk::Generator generator(2013);
  Builder builder;
  for (std::size_t i = 0; i < kSentences; ++i) {
    builder.begin_sentence();
    std::istringstream line(kTemplates[generator.below(std::size(kTemplates))]);
    for (std::string word; line >> word;) {
      const auto found = group.find(word);
      builder.add(found == group.end() ? word
                                       : (*found->second)[generator.below(found->second->size())]);
    }
  }
  return builder.finish(1);
}

Corpus read_corpus(const std::string& path, std::size_t min_count) {
  std::ifstream in = open_text(path);
  Builder builder;
  std::string line;
  for (std::size_t number = 0; next_line(in, line, number);) {
    check<FileError>(is_utf8(line), path, ':', number, ": is not UTF-8");
    builder.begin_sentence();
    for (std::string_view token : tokenize(line)) {
      check<FileError>(token.size() <= kMaxWord, path, ':', number, ": holds a word of ",
                       token.size(), " bytes, more than ", kMaxWord);
      builder.add(lower(token));
    }
  }
  check<FileError>(!in.bad(), path, ": cannot be read to its end");
  Corpus corpus = builder.finish(min_count);
  check<FileError>(corpus.words.size() >= 2 &&
                       std::any_of(corpus.sentences.begin(), corpus.sentences.end(),
                                   [](const auto& sentence) { return sentence.size() >= 2; }),
                   path,
                   ": has no pairs: needs a line of two words, and two different words, seen ",
                   min_count, " times or more; is --min-count too high?");
  return corpus;
}
