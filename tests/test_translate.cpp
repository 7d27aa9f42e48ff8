// The translator: its corpus, its parts, and the program as its users meet it.
#include <cmath>
#include <ctime>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/core.hpp"
#include "layers/files/safetensors.hpp"
#include "tests/catch.hpp"
#include "tests/programs.hpp"

#ifdef GRADWALK_TRANSLATE
#include "examples/text.hpp"
#include "examples/translate/picture.hpp"
#include "examples/translate/search.hpp"
#include "examples/translate/train.hpp"

namespace {

namespace fs = std::filesystem;
using namespace programs;
using namespace translate;
using gradwalk::Array;
using gradwalk::Generator;
using gradwalk::Indices;
using gradwalk::Tensor;

Result run(const Folder& folder, const std::string& arguments, const std::string& input = "") {
  return programs::run(GRADWALK_TRANSLATE, folder, arguments, input);
}

void check_error(const Result& result, const std::string& text) {
  programs::check_error(result, "translate", text);
}

// Reads a date from words, by what stands in them rather than by the template that wrote them.
std::string read_date(std::string text) {
  static const std::vector<std::string> months{"jan", "feb", "mar", "apr", "may", "jun",
                                               "jul", "aug", "sep", "oct", "nov", "dec"};
  static const std::vector<std::vector<std::string>> numbers{
      {"oh", "hundred"},          {"one", "first"},           {"two", "second"},
      {"three", "third"},         {"four", "fourth"},         {"five", "fifth"},
      {"six", "sixth"},           {"seven", "seventh"},       {"eight", "eighth"},
      {"nine", "ninth"},          {"ten", "tenth"},           {"eleven", "eleventh"},
      {"twelve", "twelfth"},      {"thirteen", "thirteenth"}, {"fourteen", "fourteenth"},
      {"fifteen", "fifteenth"},   {"sixteen", "sixteenth"},   {"seventeen", "seventeenth"},
      {"eighteen", "eighteenth"}, {"nineteen", "nineteenth"}};
  static const std::vector<std::vector<std::string>> tens{
      {"twenty", "twentieth"}, {"thirty", "thirtieth"}, {"forty", ""},  {"fifty", ""},
      {"sixty", ""},           {"seventy", ""},         {"eighty", ""}, {"ninety", ""}};
  std::replace(text.begin(), text.end(), ',', ' ');
  std::replace(text.begin(), text.end(), '-', ' ');
  std::istringstream in(text);
  int day = 0, month = 0, year = 0, tens_before = 0, century = 0;
  for (std::string word; in >> word;) {
    const auto found = std::find(months.begin(), months.end(), word.substr(0, 3));
    int value = -1;
    bool is_ordinal = false;
    for (std::size_t n = 0; n < numbers.size(); ++n) {
      for (std::size_t k = 0; k < 2; ++k) {
        if (numbers[n][k] == word) {
          value = static_cast<int>(n);
          is_ordinal = k == 1 && n > 0;
        }
      }
    }
    for (std::size_t n = 0; n < tens.size(); ++n) {
      for (std::size_t k = 0; k < 2; ++k) {
        if (tens[n][k] == word) {
          value = static_cast<int>(20 + 10 * n);
          is_ordinal = k == 1;
        }
      }
    }
    if (found != months.end()) {
      month = static_cast<int>(found - months.begin()) + 1;
    } else if (std::isdigit(word[0])) {
      (word.size() == 4 && std::isdigit(word[3]) ? year : day) = std::stoi(word);
    } else if (word == "thousand") {
      year = 1000 * year;
      century = 1;
    } else if (is_ordinal) {
      day = tens_before + value;
      if (tens_before > 0) year = century = 0;  // it was the day's, not the year's
    } else if (value >= 0) {
      if (century == 0 && year > 0) {
        year *= 100;
        century = 1;
      }
      year += value;
    } else {
      const std::set<std::string> fillers{"the", "of", "and"};
      REQUIRE(fillers.count(word) == 1);
    }
    tens_before = value >= 20 && !is_ordinal ? value : 0;
  }
  char iso[64];
  std::snprintf(iso, sizeof(iso), day > 0 ? "%04d-%02d-%02d" : "%04d-%02d", year, month, day);
  return iso;
}

// That the calendar has this day.
bool exists(const std::string& iso) {
  std::tm date{};
  const bool has_day = iso.size() == 10;
  date.tm_year = std::stoi(iso.substr(0, 4)) - 1900;
  date.tm_mon = std::stoi(iso.substr(5, 2)) - 1;
  date.tm_mday = has_day ? std::stoi(iso.substr(8, 2)) : 1;
  const int month = date.tm_mon;
  timegm(&date);  // moves a day that is too late into the next month
  return date.tm_mon == month && date.tm_mday >= 1;
}

// A translator with random weights, and source sentences for it, the longest not first.
struct Tiny {
  explicit Tiny(std::size_t target_size = 6, std::uint64_t seed = 7)
      : generator(seed), translator({5, 4}, 9, target_size, generator) {}
  Generator generator;
  Translator translator;
  std::vector<Ids> sources{{3, 4, 2}, {5, 6, 7, 8, 2}, {2}, {1, 3, 3, 2}};
};

// The sum of the log-probabilities of a translation, its steps read at once.
double log_probability(const Translator& translator, const Ids& source, const Ids& ids) {
  const gradwalk::NoGrad no_grad;
  Ids before = ids;
  before.insert(before.begin(), Vocabulary::kEnd);
  before.pop_back();
  const auto [memory, state] = translator.encode(make_batch({source}));
  const Array log_p =
      log_softmax(translator.decode(make_batch({before}).ids, memory, state).logits, 2).value();
  double sum = 0;
  for (std::size_t u = 0; u < ids.size(); ++u)
    sum += double(log_p(0, u, static_cast<std::size_t>(ids[u])));
  return sum;
}

// All translations of up to max_output tokens.
void enumerate(std::size_t target_size, std::size_t max_output, Ids& ids, std::vector<Ids>& all) {
  if (!ids.empty() && (ids.back() == Vocabulary::kEnd || ids.size() == max_output)) {
    all.push_back(ids);
    return;
  }
  for (std::size_t v = Vocabulary::kEnd; v < target_size; ++v) {
    ids.push_back(static_cast<std::int64_t>(v));
    enumerate(target_size, max_output, ids, all);
    ids.pop_back();
  }
}

std::string tiny_train(const std::string& more) {
  return "train --pairs 60 --embedding-dim 4 --hidden 4 --epochs 1 " + more;
}

}  // namespace

TEST_CASE("translate: every date of the corpus is right, and none is seen twice", "[translate]") {
  CHECK(read_date("the thirty-first of march two thousand and six") == "2006-03-31");
  CHECK(read_date("may twenty-first, twenty twenty-one") == "2021-05-21");
  const Corpus corpus = built_in_corpus(3000);
  CHECK(corpus.train.size() == 3000);
  CHECK(corpus.dev.size() == 500);
  CHECK(corpus.test.size() == 1000);
  std::set<std::string> sources, targets;
  std::string text;
  std::size_t without_day = 0;
  for (const auto* pairs : {&corpus.train, &corpus.dev, &corpus.test}) {
    for (const Pair& pair : *pairs) {
      INFO(pair.source << " -> " << pair.target);
      REQUIRE(read_date(pair.source) == pair.target);
      REQUIRE(exists(pair.target));
      REQUIRE(sources.insert(pair.source).second);
      REQUIRE(targets.insert(pair.target).second);
      without_day += pair.target.size() == 7;
      text += pair.source + '\n';
    }
  }
  CHECK(without_day > 300);
  for (const char* part : {"-first", " oh ", " hundred\n", "two thousand\n", "thousand and", "11th",
                           "22nd ", "1st", "23rd", "12th", "twelfth", "thirtieth", "feb 29"}) {
    CHECK_THAT(text, ContainsText(part));
  }
  const Corpus smaller = built_in_corpus(10);
  for (std::size_t n = 0; n < 10; ++n) CHECK(smaller.train[n].source == corpus.train[n].source);
  CHECK(smaller.test.back().source == corpus.test.back().source);
}

TEST_CASE("translate: tokens and their ids", "[translate]") {
  using Strings = std::vector<std::string>;
  CHECK(tokens("The 3rd, OF\tMar. 1984") ==
        Strings{"the", "3", "rd", ",", "of", "mar", ".", "1", "9", "8", "4"});
  CHECK(tokens("m\xC3\xA4rz\xE2\x82\xAC") == Strings{"m", "\xC3\xA4", "rz", "\xE2\x82\xAC"});
  CHECK(tokens("<end>") == Strings{"<", "end", ">"});
  CHECK(tokens(" \n").empty());
  CHECK(characters("19-\xC3\xA4") == std::vector<std::string_view>{"1", "9", "-", "\xC3\xA4"});

  const Vocabularies v = build_vocabularies({{"of mar", "1-"}, {"mar", "2"}});
  CHECK(v.source.tokens() == Strings{"<pad>", "<unk>", "<end>", "of", "mar"});
  CHECK(v.target.tokens() == Strings{"<pad>", "<unk>", "<end>", "1", "-", "2"});
  CHECK(v.source.encode(tokens("Mar \xC3\xA4 OF")) == Ids{4, 1, 3, 2});
  CHECK(v.source.encode({}) == Ids{2});
  CHECK(v.target.decode({3, 4, 5, 2, 3}) == "1-2");
}

TEST_CASE("translate: attention is a distribution over the sentence, without its padding",
          "[translate]") {
  const Tiny tiny;
  const auto [memory, state] = tiny.translator.encode(make_batch(tiny.sources));
  const Indices before{{2, 2, 2, 2}, {3, 4, 5, 3}, {5, 5, 3, 4}};
  const Translator::Decoded out = tiny.translator.decode(before, memory, state);
  const Array weights = out.weights.value();
  CHECK(weights.shape() == gradwalk::Shape{4, 3, 5});
  for (std::size_t n = 0; n < 4; ++n) {
    for (std::size_t u = 0; u < 3; ++u) {
      double sum = 0;
      for (std::size_t t = 0; t < 5; ++t) {
        sum += double(weights(n, u, t));
        if (t < tiny.sources[n].size()) CHECK(weights(n, u, t) > 0);
        if (t >= tiny.sources[n].size()) CHECK(weights(n, u, t) == 0);
      }
      CHECK_THAT(sum, WithinAbs(1, 1e-6));
    }
    // The sentence by itself, one step at a time.
    auto [own_memory, own_state] = tiny.translator.encode(make_batch({tiny.sources[n]}));
    for (std::size_t u = 0; u < 3; ++u) {
      const Translator::Decoded own = tiny.translator.decode(
          gradwalk::full<Indices>({1, 1}, before(u, n)), own_memory, own_state);
      own_state = own.state;
      const Array logits = own.logits.value();
      for (std::size_t v = 0; v < 6; ++v)
        CHECK_THAT(logits(0, 0, v), WithinAbs(double(out.logits.value()(n, u, v)), 1e-6));
    }
  }
}

TEST_CASE("translate: a step is what its formulas say", "[translate]") {
  const Tiny tiny;
  const Ids source = tiny.sources[1];
  const std::size_t T = source.size(), H = 4, D = 2 * H, V = 6;
  const auto [memory, start] = tiny.translator.encode(make_batch({source}));
  const Array m = memory.values.value(), before = start.h.value();
  for (std::size_t j = 0; j < H; ++j) {  // forwards ends at the last token, backwards at the first
    CHECK(m(0, T - 1, j) == before(0, 0, j));
    CHECK(m(0, 0, H + j) == before(0, 0, H + j));
  }
  const Translator::Decoded out =
      tiny.translator.decode(gradwalk::full<Indices>({1, 1}, 2), memory, start);
  std::map<std::string, Array> w;
  for (const auto& [name, tensor] : tiny.translator.state_dict()) w[name] = tensor.value();
  const Array h = out.state.h.value(), weights = out.weights.value(), logits = out.logits.value();

  std::vector<double> a(T, 0), both(2 * D, 0);  // both: the context, then h
  double total = 0;
  for (std::size_t t = 0; t < T; ++t) {
    double score = 0;
    for (std::size_t i = 0; i < D; ++i) {
      for (std::size_t j = 0; j < D; ++j)
        score += double(h(0, 0, i)) * double(w["key.weight"](i, j)) * double(m(0, t, j));
    }
    total += a[t] = std::exp(score);
  }
  for (std::size_t t = 0; t < T; ++t) {
    CHECK_THAT(weights(0, 0, t), WithinAbs(a[t] / total, 1e-6));
    for (std::size_t j = 0; j < D; ++j) both[j] += a[t] / total * double(m(0, t, j));
  }
  for (std::size_t j = 0; j < D; ++j) both[D + j] = double(h(0, 0, j));
  for (std::size_t v = 0; v < V; ++v) {
    double expected = double(w["output.bias"](v));
    for (std::size_t i = 0; i < D; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < 2 * D; ++j) sum += double(w["combine.weight"](i, j)) * both[j];
      expected += double(w["output.weight"](v, i)) * std::tanh(sum);
    }
    CHECK_THAT(logits(0, 0, v), WithinAbs(expected, 1e-6));
  }
}

TEST_CASE("translate: the loss counts the target alone, gradients of tables are sparse",
          "[translate]") {
  const std::vector<Pair> pairs{{"a b c", "12"}, {"c", "2"}, {"b a", "121"}};
  const Vocabularies v = build_vocabularies(pairs);
  Generator generator(3);
  const Translator translator({4, 3}, v.source.size(), v.target.size(), generator);
  double expected = 0, tokens_seen = 0;
  const std::vector<EncodedPair> encoded = encode(pairs, v);
  CHECK(encoded[2].source == v.source.encode({"b", "a"}));
  CHECK(encoded[2].target == v.target.encode({"1", "2", "1"}));
  for (const EncodedPair& pair : encoded) {
    expected -= log_probability(translator, pair.source, pair.target);
    tokens_seen += static_cast<double>(pair.target.size());
  }
  const Tensor loss = loss_of(translator, encoded);
  CHECK_THAT(loss.item(), WithinAbs(expected / tokens_seen, 1e-5));
  backward(loss);
  for (const auto& [name, parameter] : translator.state_dict()) {
    INFO(name);
    CHECK(std::holds_alternative<gradwalk::RowSparse>(parameter.grad()) ==
          (name == "source_embedding.weight" || name == "target_embedding.weight"));
  }
}

TEST_CASE("translate: a wide beam finds what trying everything finds", "[translate]") {
  constexpr std::size_t kTokens = 6, kMost = 3;
  const Tiny tiny(kTokens);
  for (const Ids& source : tiny.sources) {
    std::vector<Ids> all;
    Ids ids;
    enumerate(kTokens, kMost, ids, all);
    REQUIRE(all.size() == 1 + 3 + 9 * 4);  // ended after one, two and three, or cut off there
    std::vector<Hypothesis> expected;
    for (const Ids& each : all)
      expected.push_back({each, log_probability(tiny.translator, source, each)});
    std::sort(expected.begin(), expected.end(), [](const Hypothesis& a, const Hypothesis& b) {
      return a.log_probability / double(a.ids.size()) > b.log_probability / double(b.ids.size());
    });
    const std::vector<Hypothesis> found = beam_search(tiny.translator, source, 1000, kMost);
    REQUIRE(found.size() == expected.size());
    double total = 0;
    for (std::size_t k = 0; k < found.size(); ++k) {
      CHECK(found[k].ids == expected[k].ids);
      CHECK_THAT(found[k].log_probability, WithinAbs(expected[k].log_probability, 1e-5));
      total += std::exp(found[k].log_probability);
    }
    CHECK(total < 1);
    const std::vector<Hypothesis> narrow = beam_search(tiny.translator, source, 4, kMost);
    REQUIRE(narrow.size() == 4);
    for (std::size_t k = 1; k < 4; ++k) CHECK(narrow[k - 1].score() >= narrow[k].score());
  }
}

TEST_CASE("translate: a beam of 1 is greedy", "[translate]") {
  std::size_t mixed = 0;  // batches in which some end while others run on
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Tiny tiny(5, seed);
    const std::vector<Ids> greedily = greedy(tiny.translator, tiny.sources, 5);
    std::set<std::size_t> sizes;
    for (std::size_t n = 0; n < tiny.sources.size(); ++n) {
      const std::vector<Hypothesis> best = beam_search(tiny.translator, tiny.sources[n], 1, 5);
      REQUIRE(best.size() == 1);
      CHECK(best[0].ids == greedily[n]);
      sizes.insert(greedily[n].size());
    }
    CHECK(*sizes.rbegin() <= 5);
    mixed += sizes.size() > 1;
  }
  CHECK(mixed > 0);
}

TEST_CASE("translate: the drawing is escaped and complete", "[translate]") {
  const std::string svg = svg_attention(Array{{0.25, 0.75}}, {"a<b", "&\x01"}, {">"});
  CHECK_THAT(svg, ContainsText(">a&lt;b</text>") && ContainsText(">&amp;\xEF\xBF\xBD</text>") &&
                      ContainsText(">&gt;</text>"));
  CHECK_THAT(svg, ContainsText("fill-opacity=\"0.25\"") && ContainsText("fill-opacity=\"0.75\""));
}

TEST_CASE("translate: learns, saves, and does the same from its file", "[translate]") {
#ifdef GRADWALK_SANITIZE
  WARN("skipped: too slow under the sanitizers");
#else
  const Folder folder;
  const std::string model = folder / "model", picture = folder / "attention.svg";
  const Result trained =
      run(folder, "train --pairs 4000 --hidden 32 --epochs 8 --save " + quoted(model));
  INFO(trained.out << trained.err);
  REQUIRE(trained.code == 0);
  CHECK(trained.err.empty());
  CHECK_THAT(trained.out, ContainsText("4,000 train, 500 dev and 1,000 test pairs") &&
                              ContainsText("\nbest: epoch ") && ContainsText("saved: " + model));
  const auto number_after = [&](const std::string& label) {
    return std::stod(trained.out.substr(trained.out.find(label) + label.size()));
  };
  CHECK(number_after("epoch 8  loss ") < 0.1 * number_after("epoch 1  loss "));
  CHECK(number_after("exact match ") >= 0.97);

  const std::string last_line = trained.out.substr(trained.out.rfind("exact match "));
  const Result evaluated = run(folder, "evaluate --model " + quoted(model));
  CHECK(evaluated.code == 0);
  CHECK(evaluated.out.substr(evaluated.out.rfind("exact match ")) == last_line);
  const std::size_t mistakes = 1000 - std::stoul(last_line.substr(last_line.find('(') + 1));
  CHECK(std::count(evaluated.out.begin(), evaluated.out.end(), '\n') ==
        static_cast<std::ptrdiff_t>(mistakes + 1));

  const std::string text = "the THIRD of march\tnineteen eighty-four";
  const Result beam = run(folder, "predict --model " + quoted(model) + " --beam 3 --attention " +
                                      quoted(picture) + " " + quoted(text));
  CHECK(beam.code == 0);
  CHECK(beam.out.substr(0, 14) == "1984-03-03  0.");
  CHECK(std::count(beam.out.begin(), beam.out.end(), '\n') == 3);
  CHECK_THAT(beam.out, ContainsText("  the THIRD of march nineteen eighty-four\n"));
  std::vector<double> shown;  // in the order of the list
  std::istringstream listed(beam.out);
  for (std::string line; std::getline(listed, line);) shown.push_back(std::stod(line.substr(12)));
  CHECK(std::is_sorted(shown.rbegin(), shown.rend()));
  CHECK_THAT(read(picture), ContainsText(">eighty</text>") && ContainsText(">&lt;end&gt;</text>"));
  // a word that it does not know is drawn as it was written
  run(folder,
      "predict --model " + quoted(model) + " --attention " + quoted(picture) + " 'p\xC3\xA4r 3'");
  CHECK_THAT(read(picture), ContainsText(">\xC3\xA4</text>"));
  const Result lines = run(folder, "predict --model " + quoted(model),
                           "3 march 1984\r\n\nm\xC3\xA4rz 3, 1984\nmarch 1984");
  CHECK(lines.code == 0);
  CHECK(std::count(lines.out.begin(), lines.out.end(), '\n') == 4);
  CHECK(lines.out.substr(0, 14) == "1984-03-03  0.");
  CHECK_THAT(lines.out, ContainsText("  m\xC3\xA4rz 3, 1984\n1984-03     0."));
  const std::string page = folder / "page.html";
  const Result seen =
      run(folder, "see --model " + quoted(model) + " --page " + quoted(page) + " '3 march 1984'");
  CHECK(seen.out == "1984-03-03  3 march 1984\npage: " + page + "\n");
  CHECK_THAT(read(page), ContainsText(R"("words":["3","march","1","9","8","4","\u003cend>"])"));
#endif
}

TEST_CASE("translate: the same seed gives the same bytes", "[translate]") {
  const Folder folder;
  const auto model = [&](const std::string& seed, const std::string& name) {
    REQUIRE(run(folder, tiny_train("--seed " + seed + " --save " + quoted(folder / name))).code ==
            0);
    return read(folder / name);
  };
  const std::string first = model("5", "a");
  CHECK(first == model("5", "b"));
  CHECK(first != model("6", "c"));
}

TEST_CASE("translate: wrong uses are one clear error", "[translate]") {
  const Folder folder;
  const std::string model = folder / "model", missing = folder / "missing";
  REQUIRE(run(folder, tiny_train("--save " + quoted(model))).code == 0);
  const std::string bytes = read(model), predict = "predict --model " + quoted(model) + " ";
  const auto refused = [&](const std::string& arguments, const std::string& text) {
    check_refused(run(folder, arguments), text);
  };
  check_error(run(folder, "train --save " + quoted(missing + "/model")),
              missing + "/model: cannot be written");
  refused("train --lr nan", "--lr: must be greater than 0 and at most 10, got nan");
  refused("train --lr 0", "--lr: must be greater than 0 and at most 10, got 0");
  refused("train --clip inf", "--clip: must be greater than 0 and at most 1e+09, got inf");
  refused("train --seed 1.5", "--seed: must be a whole number of up to 18 digits, got 1.5");
  refused("train --save ''", "--save: must not be empty");
  refused(predict + "--attention '' one", "--attention: must not be empty");
  check_error(run(folder, "evaluate --model " + quoted(missing)), missing + ": ");
  check_error(run(folder, predict + "--attention " + quoted(folder / "a.svg")),
              "--attention: draws one TEXT, got 0");
  check_error(run(folder, predict + "--attention " + quoted(folder / "a.svg") + " one two"),
              "--attention: draws one TEXT, got 2");
  check_error(run(folder, predict + "--attention " + quoted(model) + " one"),
              model + ": is named by --model and by --attention");
  for (const char* from : {"< /", "<&-"}) {
    check_error(run_with(GRADWALK_TRANSLATE, folder, predict, from),
                "standard input: cannot be read");
  }
  CHECK_THAT(run(folder, predict + "'a\x1B[1m\x9C\x7F'").err, ContainsText("TEXT: is not UTF-8"));
  CHECK_THAT(run(folder, predict + "'a\x1B[1m\xC2\x9C\x7F'").out,
             ContainsText("  a\\x1B[1m\\x9C\\x7F\n"));
  CHECK_THAT(run(folder, predict, std::string("a\0b\n", 4)).out, ContainsText("  a\\x00b\n"));
  CHECK_THAT(run(folder, "predict --help").out, ContainsText("1500 to 2099"));
  check_error(run(folder, predict + "'\xFF'"), "TEXT: is not UTF-8");
  check_error(run(folder, predict, "ok\n\xED\xA0\x80\n"), "standard input:2: is not UTF-8");
  check_error(run(folder, predict, std::string(1000, '1')),
              "standard input:1: is longer than 999 tokens");
  CHECK(run(folder, predict, std::string(999, '1')).code == 0);
  for (const std::string options :
       {"", "train --epochs none", "train --seed -1", "train --pairs 0", "predict", "evaluate",
        "predict --beam 0 --model x", "train --hidden 0"}) {
    CHECK(run(folder, options).code > 1);
  }
  CHECK(run(folder, "train --help").code == 0);
  CHECK(read(model) == bytes);
}

TEST_CASE("translate: a file that is no model is refused", "[translate]") {
  const Folder folder;
  const std::string model = folder / "model", bad = folder / "bad";
  REQUIRE(run(folder, tiny_train("--save " + quoted(model))).code == 0);
  const std::string bytes = read(model);
  const auto predict = [&] {
    return run(folder, "predict --model " + quoted(bad) + " 'mar 1984'");
  };
  for (std::size_t length :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    write(bad, bytes.substr(0, length));
    check_error(predict(), bad + ": ");
  }
  const gradwalk::Checkpoint good = gradwalk::load_safetensors(model);
  const auto save = [&](const gradwalk::Metadata& metadata, const auto& change) {
    gradwalk::StateDict state;
    for (const auto& [name, array] : good.tensors) {
      state.emplace_back(name, Tensor(array));
      change(name, state.back().second.mutable_value());
    }
    gradwalk::save_safetensors(bad, state, metadata);
  };
  const auto predict_changed = [&](const std::string& key, const std::string& value) {
    gradwalk::Metadata metadata = good.metadata;
    metadata[key] = value;
    save(metadata, [](const std::string&, Array&) {});
    return predict();
  };
  check_error(predict_changed("format", "pt"), bad + ": is not a model of this program");
  check_error(predict_changed("config", "{}"),
              bad + ": embedding_dim is not a number from 1 to 65536");
  check_error(predict_changed("config", "[]"), bad + ": its configuration must be an object");
  check_error(predict_changed("config", R"({"embedding_dim":4,"hidden":1000000})"),
              bad + ": hidden is not a number from 1 to 65536");
  check_error(predict_changed("config", R"({"embedding_dim":4,"hidden":-4})"),
              bad + ": hidden is not a number from 1 to 65536");
  check_error(predict_changed("config", R"({"embedding_dim":4,"hidden":5})"),
              bad + ": encoder.weight_ih_l0 is not of shape [20, 4]");
  check_error(predict_changed("config", R"({"embedding_dim":60000,"hidden":4})"),
              bad + ": source_embedding.weight is not of shape [");
  check_error(predict_changed("source_vocabulary", "[1, 2, 3]"),
              bad + ": source_vocabulary is not a list of texts");
  check_error(predict_changed("source_vocabulary", "[\"<pad>\", \"<unk>\"]"),
              bad + ": source_vocabulary does not start with <pad>, <unk> and <end>");
  check_error(predict_changed("target_vocabulary", R"(["<pad>","<unk>","<end>","a","a"])"),
              bad + ": target_vocabulary holds 'a' twice");
  check_error(predict_changed("target_vocabulary", R"(["<pad>","<unk>","<end>"])"),
              bad + ": target_embedding.weight is not of shape [3, 4]");
  check_error(predict_changed("target_vocabulary", R"(["<pad>","<unk>","<end>","ab"])"),
              bad + ": target_vocabulary holds 'ab', which is not one character");
  check_error(predict_changed("target_vocabulary", "[1"),
              bad + ": target_vocabulary is not valid JSON");
  gradwalk::Metadata metadata = good.metadata;
  metadata.erase("target_vocabulary");
  save(metadata, [](const std::string&, Array&) {});
  check_error(predict(), bad + ": has no target_vocabulary");

  using Limits = std::numeric_limits<gradwalk::Real>;
  save(good.metadata, [](const std::string& name, Array& values) {
    if (name == "key.weight") values.data()[0] = Limits::quiet_NaN();
  });
  check_error(predict(), bad + ": 'key.weight' holds numbers that are not finite");
  save(good.metadata, [](const std::string&, Array& values) {
    std::fill(values.begin(), values.end(), Limits::max());
  });
  check_error(predict(), bad + ": the model's weights are so large that its numbers overflow");
}

TEST_CASE("translate: Ctrl-C saves the best model so far", "[translate]") {
  const Folder folder;
  const std::string model = folder / "model";
  const Result result =
      interrupt(GRADWALK_TRANSLATE, folder,
                {"train", "--pairs", "60", "--hidden", "4", "--epochs", "100000", "--save", model},
                "epoch 2");
  CHECK(result.code == 130);
  CHECK_THAT(result.err, ContainsText("stopped by Ctrl-C; the best model so far is in " + model));
  CHECK(run(folder, "predict --model " + quoted(model) + " 'mar 1984'").code == 0);
  check_first_epoch_is_not_saved(GRADWALK_TRANSLATE, "translate", folder,
                                 {"train", "--save", model}, model, " pairs; tokens: ");
}

#endif
