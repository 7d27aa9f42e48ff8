// The task: dates as people write them, into dates as ISO 8601 has them.
//
//   the third of march nineteen eighty-four   1984-03-03
//   mar 3rd, 1984                             1984-03-03
//   august two thousand and six               2006-08
//
// Every digit has to be looked for elsewhere in the sentence, and in another order: that is what
// attention learns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace translate {

struct Pair {
  std::string source, target;
};

struct Corpus {
  std::vector<Pair> train, dev, test;
};

// The dates are random, of the years 1500 to 2099, and each occurs once: one of dev (500) or of
// test (1,000) is in training in no form. Always the same; fewer training pairs are the first ones.
Corpus built_in_corpus(std::size_t training_pairs);

// The source's: runs of letters a-z, lower-cased, and every other character but blanks by itself, so
// that numbers never seen are read digit by digit: "Mar. 3rd" -> mar . 3 rd
std::vector<std::string> tokens(std::string_view text);

}  // namespace translate
