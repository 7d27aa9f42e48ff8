// A text as ids of words: from a file, or generated from a grammar in which it is known which words
// belong together.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

struct Corpus {
  std::vector<std::string> words;   // the most frequent first; an id is a place in this list
  std::vector<std::size_t> counts;  // how often each occurs
  std::vector<std::vector<std::int64_t>> sentences;
  std::size_t tokens = 0;  // the sum of counts
};

// Each line is a sentence; words are lower-cased, those seen less than min_count times left out.
// Throws gradwalk::FileError, "file:line: ...".
Corpus read_corpus(const std::string& path, std::size_t min_count);

// Words that can stand for one another, and so should become neighbours.
struct Group {
  std::string name;
  std::vector<std::string> words;
};
const std::vector<Group>& built_in_groups();

// 20,000 sentences about the groups; always the same.
Corpus built_in_corpus();
