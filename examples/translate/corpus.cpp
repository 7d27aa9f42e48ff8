#include "examples/translate/corpus.hpp"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <unordered_set>

#include "core/random.hpp"
#include "examples/text.hpp"

using gradwalk::Generator;

namespace translate {
namespace {

constexpr std::size_t kDevPairs = 500, kTestPairs = 1000;
constexpr std::size_t kFirstYear = 1500, kYears = 600;

// A word in capitals stands for a part of the date: see fill().
constexpr const char* kTemplates[] = {
    "the ORDINAL of MONTH YEARWORDS",
    "the NTH of MONTH YEAR",
    "MONTH the ORDINAL, YEARWORDS",
    "MONTH ORDINAL, YEAR",
    "MONTH NTH, YEAR",
    "MON DAY, YEAR",
    "DAY MONTH YEAR",
    "DAY MON YEAR",
    "NTH of MON YEARWORDS",
    "ORDINAL MONTH YEARWORDS",
    "MONTH YEARWORDS",
    "MON YEAR",
};

constexpr const char* kMonths[] = {"january",   "february", "march",    "april",
                                   "may",       "june",     "july",     "august",
                                   "september", "october",  "november", "december"};
constexpr std::size_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
constexpr const char* kNumbers[] = {"zero",    "one",     "two",       "three",    "four",
                                    "five",    "six",     "seven",     "eight",    "nine",
                                    "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr const char* kTens[] = {"",      "",      "twenty",  "thirty", "forty",
                                 "fifty", "sixty", "seventy", "eighty", "ninety"};

struct Date {
  std::size_t year, month, day;
};

bool is_leap(std::size_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

// 1 to 99
std::string number_words(std::size_t n) {
  if (n < 20) return kNumbers[n];
  return kTens[n / 10] + (n % 10 == 0 ? "" : std::string("-") + kNumbers[n % 10]);
}

// twenty-one -> twenty-first
std::string ordinal_words(std::size_t n) {
  static const std::pair<const char*, const char*> kIrregular[] = {
      {"one", "first"},    {"two", "second"}, {"three", "third"},    {"five", "fifth"},
      {"eight", "eighth"}, {"nine", "ninth"}, {"twelve", "twelfth"}, {"ty", "tieth"}};
  std::string words = number_words(n);
  for (const auto& [cardinal, ordinal] : kIrregular) {
    const std::size_t length = std::string_view(cardinal).size();
    if (words.size() >= length && words.compare(words.size() - length, length, cardinal) == 0) {
      return words.replace(words.size() - length, length, ordinal);
    }
  }
  return words + "th";
}

// 1984 -> nineteen eighty-four, 1905 -> nineteen oh five, 2006 -> two thousand and six
std::string year_words(std::size_t year) {
  const std::size_t century = year / 100, rest = year % 100;
  if (century == 20 && rest < 10) {
    return "two thousand" + (rest == 0 ? "" : " and " + number_words(rest));
  }
  return number_words(century) +
         (rest == 0 ? " hundred" : (rest < 10 ? " oh " : " ") + number_words(rest));
}

// 1st, 2nd, 3rd, 4th, 11th, 21st
std::string nth(std::size_t n) {
  const bool is_teen = n / 10 == 1;
  const char* ending = n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
  return std::to_string(n) + (is_teen ? "th" : ending);
}

std::string part(const std::string& name, const Date& date) {
  const std::string month = kMonths[date.month - 1];
  if (name == "DAY") return std::to_string(date.day);
  if (name == "NTH") return nth(date.day);
  if (name == "ORDINAL") return ordinal_words(date.day);
  if (name == "MONTH") return month;
  if (name == "MON") return month.substr(0, 3);
  if (name == "YEAR") return std::to_string(date.year);
  if (name == "YEARWORDS") return year_words(date.year);
  return name;
}

Pair fill(const std::string& sentence, const Date& date) {
  Pair pair;
  std::istringstream in(sentence);
  bool has_day = false;
  for (std::string name; in >> name;) {
    const bool has_comma = name.back() == ',';
    if (has_comma) name.pop_back();
    has_day = has_day || name == "DAY" || name == "NTH" || name == "ORDINAL";
    pair.source += (pair.source.empty() ? "" : " ") + part(name, date) + (has_comma ? "," : "");
  }
  char iso[32];
  std::snprintf(iso, sizeof(iso), has_day ? "%04zu-%02zu-%02zu" : "%04zu-%02zu", date.year,
                date.month, date.day);
  pair.target = iso;
  return pair;
}

Pair random_pair(Generator& generator) {
  Date date{kFirstYear + generator.below(kYears), 1 + generator.below(12), 0};
  date.day =
      1 + generator.below(date.month == 2 && is_leap(date.year) ? 29 : kDays[date.month - 1]);
  return fill(kTemplates[generator.below(std::size(kTemplates))], date);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

Corpus built_in_corpus(std::size_t training_pairs) {
  Generator generator(8601);
  std::unordered_set<std::string> targets;  // so far
  const auto draw = [&](std::size_t n) {
    std::vector<Pair> pairs;
    while (pairs.size() < n) {
      Pair pair = random_pair(generator);
      if (targets.insert(pair.target).second) pairs.push_back(std::move(pair));
    }
    return pairs;
  };
  Corpus corpus;
  corpus.test = draw(kTestPairs);
  corpus.dev = draw(kDevPairs);
  corpus.train = draw(training_pairs);
  return corpus;
}

std::vector<std::string> tokens(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = 0;
    while (at + length < text.size() && is_letter(text[at + length])) ++length;
    if (length == 0) length = characters(text.substr(at))[0].size();
    if (!is_blank(text[at])) out.push_back(lower(text.substr(at, length)));
    at += length;
  }
  return out;
}

}  // namespace translate
