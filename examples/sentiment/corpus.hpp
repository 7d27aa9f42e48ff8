// The built-in corpus: small reviews from a grammar in which the order of the words decides.
#pragma once

#include <vector>

#include "examples/sentiment/data.hpp"

struct Corpus {
  std::vector<Example> train, dev, test;
};

// 4,000, 500 and 500 reviews, all different, half of them positive (label 1); always the same.
Corpus built_in_corpus();
