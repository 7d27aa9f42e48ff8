// From what the decoder thinks of each next token to whole translations.
#pragma once

#include <cstdint>
#include <vector>

#include "examples/translate/model.hpp"

namespace translate {

constexpr std::size_t kMaxOutput = 16;  // tokens; a date takes 11

// The most probable token at each step, for all sentences at once. A translation ends with kEnd, or
// after max_output tokens.
std::vector<Ids> greedy(const Translator& translator, const std::vector<Ids>& sources,
                        std::size_t max_output = kMaxOutput);

struct Hypothesis {
  Ids ids;
  double log_probability = 0;  // sum_u log p(y_u | y_1 ... y_u-1, source)
  // Without the division short translations would win: each token makes the sum smaller.
  double score() const { return log_probability / static_cast<double>(ids.size()); }
};

// Of the `width` most probable beginnings, each step keeps the `width` most probable that are one
// token longer; one that ends is put aside, and its place is not filled again. All of them, the
// best score first. With width 1 it is greedy's.
std::vector<Hypothesis> beam_search(const Translator& translator, const Ids& source,
                                    std::size_t width, std::size_t max_output = kMaxOutput);

}  // namespace translate
