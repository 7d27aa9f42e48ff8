// The grammar. Each rule makes a review of a given label from both good and bad words:
//
//   the acting was dull , but the story was wonderful     1    what follows `but` decides
//   the story was wonderful , but the acting was dull     0    the same words
//
// Whatever bag of words a rule can make for one label it makes as often for the other, or turns
// each word's meaning around with `not`; only the few plain reviews can be told by counting.
#include "examples/sentiment/corpus.hpp"

#include <initializer_list>
#include <unordered_set>

#include "core/random.hpp"

namespace {

std::string join(std::initializer_list<std::string> parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!part.empty() && !text.empty()) text += ' ';
    text += part;
  }
  return text;
}

class Grammar {
 public:
  explicit Grammar(std::uint64_t seed) : generator_(seed) {}

  // The lists are braced because their elements are evaluated from left to right; the operands of +
  // are evaluated in an order that compilers choose.
  std::string review(bool good) {
    switch (generator_.below(8)) {
      case 0:
        return join({opening(), clause(good), "and", clause(good), ending()});
      case 1:
        return join({opening(), clause(!good), ", but", clause(good), ending()});
      case 2:
        return join({opening(), "although", clause(!good), ",", clause(good), ending()});
      case 3:
        return join({opening(), clause(good), ", although", clause(!good), ending()});
      case 4:
        return join({opening(), "i wanted to", verb(!good), "the", aspect(), ", but i could only",
                     verb(good), "the", kind(), ending()});
      case 5:
        return join({opening(), "it could have been a", adjective(!good), kind(), ", but it is a",
                     adjective(good), "one", ending()});
      case 6:
        return join({opening(), "it is", adjective(good), ", not", adjective(!good), ending()});
      default:
        return join({opening(), "it is not", adjective(!good), coin() ? "at all" : "",
                     coin() ? ", and " + clause(good) : "", ending()});
    }
  }

 private:
  template <std::size_t n>
  std::string pick(const char* const (&words)[n]) {
    return words[generator_.below(n)];
  }
  bool coin() { return generator_.below(2) == 0; }

  std::string adjective(bool good) {
    static constexpr const char* kGood[] = {"good",  "wonderful", "clever",   "funny",
                                            "warm",  "moving",    "charming", "gripping",
                                            "fresh", "brilliant", "better",   "honest"};
    static constexpr const char* kBad[] = {"bad",   "dull",    "clumsy", "silly",
                                           "awful", "tedious", "flat",   "predictable",
                                           "stale", "boring",  "worse",  "lifeless"};
    static constexpr const char* kDegree[] = {"very", "really", "rather", "quite"};
    return join({generator_.below(4) == 0 ? pick(kDegree) : "", good ? pick(kGood) : pick(kBad)});
  }
  std::string verb(bool good) {
    static constexpr const char* kGood[] = {"love", "enjoy", "praise", "admire"};
    static constexpr const char* kBad[] = {"hate", "regret", "mock", "forget"};
    return good ? pick(kGood) : pick(kBad);
  }
  std::string aspect() {
    static constexpr const char* kAspects[] = {"acting", "story", "plot",     "music",
                                               "ending", "cast",  "dialogue", "humour",
                                               "script", "pace",  "camera",   "idea"};
    return pick(kAspects);
  }
  std::string kind() {
    static constexpr const char* kKinds[] = {"film", "movie", "comedy", "drama", "thriller"};
    return pick(kKinds);
  }
  std::string clause(bool good) {
    const bool negated = generator_.below(3) == 0;
    return join({"the", aspect(), coin() ? "is" : "was", negated ? "not" : "",
                 adjective(negated ? !good : good)});
  }
  std::string opening() {
    static constexpr const char* kOpenings[] = {
        "", "", "", "to be fair ,", "for me ,", "in this film ,"};
    return pick(kOpenings);
  }
  std::string ending() {
    static constexpr const char* kEndings[] = {".", ".", "!", "in the end .", "this time ."};
    return pick(kEndings);
  }

  gradwalk::Generator generator_;
};

}  // namespace

Corpus built_in_corpus() {
  constexpr std::size_t kTrain = 4000, kDev = 500, kTest = 500;
  Grammar grammar(2024);
  std::unordered_set<std::string> seen;
  std::vector<Example> all;
  while (all.size() < kTrain + kDev + kTest) {
    const std::size_t label = all.size() % 2;
    std::string text = grammar.review(label == 1);
    if (seen.insert(text).second) all.push_back({label, std::move(text)});
  }
  const auto dev = all.begin() + kTrain, test = dev + kDev;
  return {{all.begin(), dev}, {dev, test}, {test, all.end()}};
}
