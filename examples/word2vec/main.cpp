// The command line: trains word vectors, then shows what they have learned.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "core/core.hpp"
#include "core/file.hpp"
#include "examples/options.hpp"
#include "examples/report.hpp"
#include "examples/text.hpp"
#include "examples/word2vec/map.hpp"
#include "examples/word2vec/skipgram.hpp"
#include "layers/files/word_vectors.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::FileError;
using gradwalk::Tensor;
using gradwalk::WordVectors;

namespace {

constexpr std::size_t kNeighbours = 5;

struct Arguments {
  std::string text, save, map, report, see;
  std::vector<std::string> words;
  std::size_t min_count = 5, dim = 64;
  std::uint64_t seed = 1;
  TrainOptions options;
  CheckpointOptions checkpoint;
};

// The words to look at, and the group of each. A text's words are of one group without a name.
struct Subjects {
  std::vector<std::string> words;
  std::vector<std::size_t> group_of;
  std::vector<std::string> group_names;
};

Subjects subjects_of_groups() {
  Subjects s;
  for (const Group& group : built_in_groups()) {
    for (const std::string& word : group.words) {
      s.words.push_back(word);
      s.group_of.push_back(s.group_names.size());
    }
    s.group_names.push_back(group.name);
  }
  return s;
}

// Frequent words, but not those that stand next to everything, as `the` does.
Subjects subjects_of_text(const Corpus& corpus) {
  constexpr std::size_t kMost = 150;
  constexpr double kTooFrequent = 1e-3;
  const std::size_t n = std::min(kMost, corpus.words.size());
  const double too_frequent = kTooFrequent * static_cast<double>(corpus.tokens);
  const auto rare_enough =
      std::find_if(corpus.counts.begin(), corpus.counts.end() - static_cast<std::ptrdiff_t>(n),
                   [&](std::size_t count) { return static_cast<double>(count) <= too_frequent; });
  const auto first = corpus.words.begin() + (rare_enough - corpus.counts.begin());
  return {{first, first + static_cast<std::ptrdiff_t>(n)}, std::vector<std::size_t>(n, 0), {}};
}

// Of the nearest neighbours of each subject, the share that are of its own group.
double purity(const WordVectors& vectors, const Subjects& subjects) {
  std::size_t own = 0, all = 0;
  for (std::size_t n = 0; n < subjects.words.size(); ++n) {
    for (const auto& neighbour : vectors.nearest(subjects.words[n], kNeighbours)) {
      const auto at = std::find(subjects.words.begin(), subjects.words.end(), neighbour.word);
      const auto m = static_cast<std::size_t>(at - subjects.words.begin());
      own += m < subjects.words.size() && subjects.group_of[m] == subjects.group_of[n];
      ++all;
    }
  }
  return ratio(own, all);
}

void print_neighbours(const WordVectors& vectors, const std::string& word) {
  std::printf("%s:", printable(word).c_str());
  for (const auto& neighbour : vectors.nearest(word, kNeighbours)) {
    std::printf("  %s %.2f", printable(neighbour.word).c_str(), neighbour.similarity);
  }
  std::puts("");
}

// [N, D]
Array rows_of(const WordVectors& vectors, const std::vector<std::string>& words) {
  const std::size_t D = vectors.dim();
  Array x = gradwalk::empty({words.size(), D});
  for (std::size_t n = 0; n < words.size(); ++n) {
    const auto* row = vectors.vectors().data() + *vectors.find(words[n]) * D;
    std::copy_n(row, D, x.data() + n * D);
  }
  return x;
}

std::string draw_map(const WordVectors& vectors, const Subjects& subjects) {
  const Array x = rows_of(vectors, subjects.words);
  return svg_map(project(x, principal_axes(x)), subjects.words, subjects.group_of,
                 subjects.group_names);
}

double rounded(double x) { return std::round(x * 1e4) / 1e4; }

// Adds the map of this epoch to those that the report has: places[e][n] = [x, y] of word n, and
// neighbours[e][n] with their cosines. All are drawn on the axes of the last one, or else the map
// would turn where words stand still.
void add_map(Report& report, const WordVectors& vectors, const Subjects& subjects) {
  const std::size_t N = subjects.words.size(), D = vectors.dim();
  Array last = rows_of(vectors, subjects.words);
  const Array axes = principal_axes(last);
  last.reshape({1, N, D});
  Array& all = report.more["vectors"];  // [E, N, D]
  all = all.dimension() == 0 ? last : gradwalk::concat({Tensor(all), Tensor(last)}, 0).value();

  Report::Json places, neighbours = report.json["map"]["neighbours"];
  for (std::size_t e = 0; e < all.shape(0); ++e) {
    Array x = gradwalk::empty({N, D});
    std::copy_n(all.data() + e * N * D, N * D, x.data());
    const Array xy = project(x, axes);
    Report::Json& frame = places.emplace_back(Report::Json::array());
    for (std::size_t n = 0; n < N; ++n) frame.push_back({rounded(xy(n, 0)), rounded(xy(n, 1))});
  }
  Report::Json& now = neighbours.emplace_back(Report::Json::array());
  for (const std::string& word : subjects.words) {
    Report::Json& nearest = now.emplace_back(Report::Json::array());
    for (const auto& [neighbour, similarity] : vectors.nearest(word, kNeighbours))
      nearest.push_back({neighbour, rounded(similarity)});
  }
  report.json["map"] = {{"words", subjects.words},
                        {"group_of", subjects.group_of},
                        {"groups", subjects.group_names},
                        {"places", places},
                        {"neighbours", neighbours}};
}

Report::Json config_of(const Arguments& a) {
  return {{"text", a.text},
          {"min_count", a.min_count},
          {"dim", a.dim},
          {"window", a.options.window},
          {"negative", a.options.negative},
          {"subsample", a.options.subsample},
          {"epochs", a.options.epochs},
          {"batch", a.options.batch_size},
          {"lr", a.options.lr},
          {"seed", a.seed}};
}

int train_and_show(const Arguments& a) {
  check_outputs({{"--save", a.save},
                 {"--map", a.map},
                 {"--report", a.report},
                 {"--see", a.see},
                 a.checkpoint.output()},
                {{"--text", a.text}, a.checkpoint.input()});
  const bool built_in = a.text.empty();
  const Corpus corpus = built_in ? built_in_corpus() : read_corpus(a.text, a.min_count);
  const Subjects subjects = built_in ? subjects_of_groups() : subjects_of_text(corpus);
  for (const std::string& word : a.words) {
    check(std::find(corpus.words.begin(), corpus.words.end(), word) != corpus.words.end(), "'",
          word, "' is not one of the ", corpus.words.size(), " words");
  }
  std::printf("%s%s words, %s different\n", built_in ? "built-in corpus: " : "",
              thousands(corpus.tokens).c_str(), thousands(corpus.words.size()).c_str());

  gradwalk::Generator generator(a.seed);
  SkipGram model(corpus.words.size(), a.dim, generator);
  const double random_purity =
      built_in ? purity(WordVectors(corpus.words, model.vectors()), subjects) : 0;
  catch_interrupt();
  std::optional<Report> report;
  if (!a.report.empty() || !a.see.empty()) {
    report.emplace(Report::Paths{a.report, a.see}, "word2vec", config_of(a), model.state_dict());
    add_map(*report, WordVectors(corpus.words, model.vectors()), subjects);
  }
  Report::Json what = config_of(a);
  what.erase("text");
  Fingerprint data;
  for (const auto& sentence : corpus.sentences) data.add(sentence);
  for (const std::string& word : corpus.words) data.add(word);
  what["data"] = data.value();
  Checkpoints checkpoints(a.checkpoint, "word2vec", what, report ? &*report : nullptr);
  const auto after_epoch = [&](const Epoch& epoch) {
    if (!report) return;
    const WordVectors vectors(corpus.words, model.vectors());
    add_map(*report, vectors, subjects);
    Report::Json figures = {
        {"epoch", epoch.number}, {"loss", epoch.loss}, {"seconds", epoch.seconds}};
    if (built_in) figures["purity"] = purity(vectors, subjects);
    report->end_epoch(figures);
  };
  const bool finished = train(model, corpus, a.options, generator, after_epoch, checkpoints);
  const WordVectors vectors(corpus.words, model.vectors());
  Saves save("word2vec");  // before anything that may fail
  if (!a.save.empty()) save([&] { save_word2vec_text(a.save, vectors); });

  std::puts("\nnearest neighbours");
  if (!a.words.empty()) {
    for (const std::string& word : a.words) print_neighbours(vectors, word);
  } else {
    const std::size_t step = built_in ? built_in_groups()[0].words.size() : 1;
    for (std::size_t n = 0; n < 8 && n * step < subjects.words.size(); ++n) {
      print_neighbours(vectors, subjects.words[n * step]);
    }
  }
  if (built_in) {
    std::printf(
        "\npurity %.4f: so many of the %zu nearest are of the word's own group (%zu groups)\n"
        "       %.4f before training\n",
        purity(vectors, subjects), kNeighbours, subjects.group_names.size(), random_purity);
  }
  const bool saved = save.finish();
  if (saved && !a.save.empty()) std::printf("saved: %s\n", a.save.c_str());
  if (!a.map.empty()) {
    gradwalk::write_file(a.map, draw_map(vectors, subjects));
    std::printf("map: %s\n", a.map.c_str());
  }
  if (report && !report->json["epochs"].empty()) report->end(!finished);
  if (!saved || !checkpoints.saved()) return 1;
  if (finished) return 0;
  return stopped("word2vec", true, a.save, checkpoints.path(), "the vectors so far are");
}

int run(int argc, char** argv) {
  CLI::App app{"Learns word vectors from text: skip-gram with negative sampling, on gradwalk."};
  app.footer("Without --text: a built-in corpus, of which it is known what belongs together.");
  app.get_formatter()->column_width(36);
  Arguments a;
  app.add_option("--text", a.text, "File to learn from: UTF-8, a sentence or paragraph per line");
  app.add_option("--save", a.save, "Where the vectors go, in word2vec's text format")
      ->check(not_empty());
  app.add_option("--map", a.map, "Where a map of some words goes, an SVG drawing")
      ->check(not_empty());
  add_checkpoint(app, a.checkpoint);
  add_report(app, a.report);
  app.add_option("--see", a.see,
                 "Where a page goes on which a map of some words moves over the epochs, with what\n"
                 "--report draws")
      ->check([](const std::string& path) {
        return is_page(path) ? std::string() : "must end in .html, got " + path;
      });
  app.add_option("--word", a.words, "Show this word's neighbours; may be given several times");
  app.add_option("--min-count", a.min_count, "Rarer words of the text are left out")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--dim", a.dim, "Numbers per word")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str();
  app.add_option("--window", a.options.window, "How far apart the words of a pair may be")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--negative", a.options.negative, "Noise words for each pair")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--subsample", a.options.subsample,
                 "Words of a greater share are skipped at random; 0: none")
      ->check(number_in(0, 1))
      ->capture_default_str();
  app.add_option("--epochs", a.options.epochs, "Passes over the text")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--batch", a.options.batch_size, "Pairs per step")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--lr", a.options.lr, "Adam's learning rate at the start; falls to 0")
      ->check(number_above_zero(10))
      ->capture_default_str();
  app.add_option("--seed", a.seed, "Same seed, same vectors, on the same kind of machine")
      ->check(seed_number())
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return train_and_show(a);
}

}  // namespace

int main(int argc, char** argv) { return run_program("word2vec", run, argc, argv); }
