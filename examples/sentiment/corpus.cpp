// The grammar. Each rule makes a review of a given label from both good and bad words:
//
//   the acting was dull , but the story was wonderful     1    what follows `but` decides
//   the story was wonderful , but the acting was dull     0    the same words
//
// Whatever bag of words a rule can make for one label it makes as often for the other, or turns
// each word's meaning around with `not`; only the few plain reviews can be told by counting.
#include "examples/sentiment/corpus.hpp"

#include <iterator>
#include <unordered_set>

#include "core/random.hpp"

namespace {

class Grammar {
 public:
  explicit Grammar(std::uint64_t seed) : generator_(seed) {}

  std::string review(bool good) {
    std::string text = opening();
    switch (generator_.below(8)) {
      case 0:
        return text + clause(good) + " and " + clause(good) + ending();
      case 1:
        return text + clause(!good) + " , but " + clause(good) + ending();
      case 2:
        return text + "although " + clause(!good) + " , " + clause(good) + ending();
      case 3:
        return text + clause(good) + " , although " + clause(!good) + ending();
      case 4:
        return text + "i wanted to " + verb(!good) + " the " + aspect() + " , but i could only " +
               verb(good) + " the " + kind() + ending();
      case 5:
        return text + "it could have been a " + adjective(!good) + " " + kind() + " , but it is a " +
               adjective(good) + " one" + ending();
      case 6:
        return text + "it is " + adjective(good) + " , not " + adjective(!good) + ending();
      default:
        return text + "it is not " + adjective(!good) + (coin() ? " at all" : "") +
               (coin() ? " , and " + clause(good) : "") + ending();
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
    return (generator_.below(4) == 0 ? pick(kDegree) + " " : "") + (good ? pick(kGood) : pick(kBad));
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
    const std::string subject = "the " + aspect() + (coin() ? " is " : " was ");
    return generator_.below(3) == 0 ? subject + "not " + adjective(!good)
                                    : subject + adjective(good);
  }
  std::string opening() {
    static constexpr const char* kOpenings[] = {"", "", "", "to be fair , ", "for me , ",
                                                "in this film , "};
    return pick(kOpenings);
  }
  std::string ending() {
    static constexpr const char* kEndings[] = {" .", " .", " !", " in the end .", " this time ."};
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
