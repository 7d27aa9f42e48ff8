// The command line: train, evaluate, predict and see.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "core/core.hpp"
#include "core/file.hpp"
#include "examples/model_file.hpp"
#include "examples/options.hpp"
#include "examples/report.hpp"
#include "examples/sentiment/corpus.hpp"
#include "examples/sentiment/train.hpp"
#include "examples/text.hpp"
#include "layers/files/word_vectors.hpp"
#include "layers/layers.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::FileError;
using gradwalk::Real;
using gradwalk::Tensor;

namespace {

constexpr std::size_t kMaxVectors = 50000;  // of a word vector file, besides training's own words

struct Arguments {
  std::string train, dev, test, vectors, save, report, profile;  // train
  bool freeze = false, sparse = true;
  std::size_t min_count = 2;
  std::uint64_t seed = 1;
  ModelConfig config;
  TrainOptions options;
  CheckpointOptions checkpoint;
  std::string model, data, logits;  // evaluate and predict
  std::vector<std::string> texts;   // predict and see
  std::string page;                 // see
  std::string folder;               // corpus
};

Report::Json config_of(const Arguments& a) {
  return {{"train", a.train},
          {"dev", a.dev},
          {"test", a.test},
          {"vectors", a.vectors},
          {"model", a.config.kind},
          {"embedding_dim", a.config.embedding_dim},
          {"hidden", a.config.hidden},
          {"layers", a.config.layers},
          {"bidirectional", a.config.bidirectional},
          {"pool", a.config.pool},
          {"dropout", a.config.dropout},
          {"max_tokens", a.config.max_tokens},
          {"min_count", a.min_count},
          {"epochs", a.options.epochs},
          {"batch", a.options.batch_size},
          {"optimizer", a.options.optimizer},
          {"policy", a.options.policy},
          {"sparse", a.sparse},
          {"freeze", a.freeze},
          {"lr", a.options.lr},
          {"clip", a.options.clip},
          {"seed", a.seed}};
}

// All that the weights depend on.
Report::Json run_of(const Arguments& a, const std::vector<Sentence>& train_set,
                    const std::vector<Sentence>& dev_set, const Vocabulary& vocabulary) {
  Report::Json run = config_of(a);
  for (const char* path : {"train", "dev", "test", "vectors"}) run.erase(path);
  Fingerprint data;
  for (const auto* set : {&train_set, &dev_set}) {
    data.add_one(set->size());
    for (const Sentence& sentence : *set) {
      data.add(sentence.ids);
      data.add_one(sentence.label);
    }
  }
  for (const std::string& word : vocabulary.words()) data.add(word);
  run["data"] = data.value();
  return run;
}

int run_train(Arguments a, bool dim_given) {
  check_outputs(
      {{"--save", a.save}, {"--report", a.report}, {"--profile", a.profile}, a.checkpoint.output()},
      {{"--train", a.train},
       {"--dev", a.dev},
       {"--test", a.test},
       {"--vectors", a.vectors},
       a.checkpoint.input()});
  const bool built_in = a.train.empty();
  Corpus corpus;
  if (built_in) {
    corpus = built_in_corpus();
  } else {
    corpus.train = read_examples(a.train);
  }
  a.config.num_classes = count_classes(corpus.train);
  if (!a.dev.empty()) corpus.dev = read_examples(a.dev, a.config.num_classes);
  if (!a.test.empty()) corpus.test = read_examples(a.test, a.config.num_classes);

  if (a.options.lr == 0) a.options.lr = default_lr(a.options.optimizer);

  // A word seen once is better <unk>, unless a vector says what it means.
  const auto counts = count_words(corpus.train);
  Vocabulary vocabulary(counts, a.min_count);
  std::optional<gradwalk::WordVectors> vectors;
  gradwalk::ReadReport read;
  if (!a.vectors.empty()) {
    gradwalk::ReadOptions options;
    options.max_words = kMaxVectors;
    options.wanted = [&](std::string_view word) { return counts.count(std::string(word)) > 0; };
    vectors = gradwalk::read_word_vectors(a.vectors, options, &read);
    check<FileError>(!dim_given || vectors->dim() == a.config.embedding_dim, a.vectors,
                     ": holds vectors of ", vectors->dim(), " numbers, but --embedding-dim is ",
                     a.config.embedding_dim);
    a.config.embedding_dim = vectors->dim();
    for (const std::string& word : vectors->words()) {
      if (is_utf8(word)) vocabulary.add(word);  // a model file holds its words as JSON
    }
  }

  gradwalk::Generator generator(a.seed);
  SentimentModel model(a.config, vocabulary.size(), generator, a.sparse);
  Tensor table = model.table();
  if (vectors) {
    std::vector<std::string> rows = vocabulary.words();
    rows[Vocabulary::kPadding].clear();  // stays zero
    const gradwalk::Coverage coverage =
        fill_table(table.mutable_value(), rows, *vectors, generator);
    const auto found = static_cast<std::size_t>(
        std::count_if(counts.begin(), counts.end(),
                      [&](const auto& entry) { return vectors->find(entry.first).has_value(); }));
    std::printf("vectors: %s, %s of %s words found, other rows %s\n", read.format.c_str(),
                thousands(found).c_str(), thousands(counts.size()).c_str(),
                coverage.missing_rows.c_str());
    if (read.skipped > 0)
      std::printf("vectors: %s rows without a word skipped\n", thousands(read.skipped).c_str());
  }
  table.set_requires_grad(!a.freeze);
  catch_interrupt();
  std::printf("%s%s train and %s dev sentences, %zu classes, %s words\n",
              built_in ? "built-in corpus: " : "", thousands(corpus.train.size()).c_str(),
              thousands(corpus.dev.size()).c_str(), a.config.num_classes,
              thousands(vocabulary.size()).c_str());
  std::fflush(stdout);

  const auto encoded = [&](const std::vector<Example>& examples) {
    return encode(examples, vocabulary, a.config.max_tokens);
  };
  std::optional<gradwalk::Profile> profile;
  if (!a.profile.empty()) profile.emplace();
  std::optional<Report> report;
  if (!a.report.empty())
    report.emplace(Report::Paths{a.report}, "sentiment", config_of(a), model.state_dict());
  Saves save("sentiment");
  const auto after_epoch = [&](const Epoch& epoch, bool best) {
    if (best && !a.save.empty())
      save([&] { save_classifier(a.save, a.config, vocabulary, model); });
    if (!report) return;
    if (best) report->json["best_dev"] = epoch.dev_accuracy;
    report->end_epoch({{"epoch", epoch.number},
                       {"loss", epoch.loss},
                       {"train", epoch.train_accuracy},
                       {"dev", epoch.dev_accuracy},
                       {"seconds", epoch.seconds}},
                      best);
  };
  const std::vector<Sentence> train_set = encoded(corpus.train), dev_set = encoded(corpus.dev);
  Checkpoints checkpoints(a.checkpoint, "sentiment", run_of(a, train_set, dev_set, vocabulary),
                          report ? &*report : nullptr);
  const Epoch best =
      train(model, train_set, dev_set, a.options, generator, after_epoch, checkpoints);
  if (profile) std::cout << *profile;
  if (best.number == 0) return stopped("sentiment", false, a.save, checkpoints.path());
  std::printf("best: epoch %zu, dev %.4f\n", best.number, best.dev_accuracy);
  if (!a.checkpoint.resume.empty() && !a.save.empty())  // its best epoch may have been before
    save([&] { save_classifier(a.save, a.config, vocabulary, model); });
  const bool saved = save.finish();
  if (saved && !a.save.empty()) std::printf("saved: %s\n", a.save.c_str());
  Confusion test;
  if (!corpus.test.empty()) test = evaluate(model, encoded(corpus.test), a.config.num_classes);
  if (interrupted()) test.clear();  // it has not seen them all
  if (!test.empty()) print_accuracy(test);
  if (report) {  // what is costly has been saved and told
    if (!test.empty()) report->json["test"] = accuracy(test);
    report->end(interrupted());
  }
  if (profile) profile->save(a.profile);
  if (!saved || !checkpoints.saved()) return 1;
  return interrupted() ? stopped("sentiment", true, a.save, checkpoints.path()) : 0;
}

int run_evaluate(const Arguments& a) {
  check_outputs({{"--logits", a.logits}}, {{"--model", a.model}, {"--data", a.data}});
  gradwalk::Generator generator;
  Classifier classifier = load_classifier(a.model, generator);
  const std::size_t num_classes = classifier.config.num_classes;
  if (a.data.empty()) std::puts("no --data: the built-in test sentences\n");
  const std::vector<Example> examples =
      a.data.empty() ? built_in_corpus().test : read_examples(a.data, num_classes);
  const std::vector<Sentence> sentences =
      encode(examples, classifier.vocabulary, classifier.config.max_tokens);

  // For other programs to compare with: of batch k "k.ids" [T, N], "k.lengths" and "k.labels" [N]
  // and "k.logits" [N, C].
  gradwalk::StateDict state;
  std::size_t k = 0;
  const auto keep = [&](const Batch& batch, const Tensor& logits) {
    const std::string prefix = std::to_string(k++) + '.';
    const auto reals = [](const auto& numbers, const gradwalk::Shape& shape) {
      Array out = gradwalk::empty(shape);
      std::copy(numbers.begin(), numbers.end(), out.begin());
      return Tensor(out);
    };
    const std::size_t N = batch.lengths.size();
    state.emplace_back(prefix + "ids", reals(batch.ids, batch.ids.shape()));
    state.emplace_back(prefix + "lengths", reals(batch.lengths, {N}));
    state.emplace_back(prefix + "labels", reals(batch.labels, {N}));
    state.emplace_back(prefix + "logits", logits);
  };
  const Confusion confusion = evaluate(*classifier.model, sentences, num_classes, keep);
  print_table(confusion);
  print_accuracy(confusion);
  if (!a.logits.empty()) gradwalk::save_safetensors(a.logits, state);
  return 0;
}

int run_corpus(const Arguments& a) {
  const Corpus corpus = built_in_corpus();
  const std::string train = a.folder + "/train.tsv", dev = a.folder + "/dev.tsv",
                    test = a.folder + "/test.tsv";
  check_outputs({{"FOLDER", train}, {"FOLDER", dev}, {"FOLDER", test}}, {});
  const auto write = [&](const std::string& path, const std::vector<Example>& examples) {
    std::string lines;
    for (const Example& example : examples)
      lines += std::to_string(example.label) + '\t' + example.text + '\n';
    gradwalk::write_file(path, lines);
    std::printf("saved: %s\n", path.c_str());
  };
  write(train, corpus.train);
  write(dev, corpus.dev);
  write(test, corpus.test);
  return 0;
}

// The text with each word coloured by its push, relative to the strongest: green for the label that
// was chosen, red against it, bold where strong.
std::string coloured(std::string_view text, const std::vector<double>& pushes) {
  double strongest = 1e-12;
  for (double push : pushes) strongest = std::max(strongest, std::abs(push));
  std::string out;
  std::size_t at = 0, t = 0;
  for (std::string_view word : tokenize(text)) {
    if (t == pushes.size()) break;
    const double push = pushes[t++] / strongest;
    const auto begin = static_cast<std::size_t>(word.data() - text.data());
    out += printable(text.substr(at, begin - at));
    at = begin + word.size();
    const char* colour = push > 0 ? "\033[32m" : "\033[31m";
    if (std::abs(push) < 0.1) {
      out += printable(word);
    } else {
      out.append(std::abs(push) > 0.5 ? "\033[1m" : "").append(colour).append(printable(word));
      out += "\033[0m";
    }
  }
  return out.append(printable(text.substr(at)));
}

void predict(const Classifier& classifier, const std::string& text, bool colours) {
  const auto ids = classifier.vocabulary.encode(text, classifier.config.max_tokens);
  const SentimentModel::Decision decision = classifier.model->explain(ids);
  const std::string shown = colours ? coloured(text, decision.pushes) : printable(text);
  std::printf("%zu  %.4f  %s\n", decision.label, decision.probabilities[decision.label],
              shown.c_str());
}

int run_predict(const Arguments& a) {
  gradwalk::Generator generator;
  const Classifier classifier = load_classifier(a.model, generator);
  const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org
  const bool colours = isatty(STDOUT_FILENO) != 0 && !(no_color && *no_color);
  for_each_text(a.texts, [&](const std::string& text, const std::string&) {
    predict(classifier, text, colours);
  });
  return 0;
}

int run_see(const Arguments& a) {
  check_outputs({{"--page", a.page}}, {{"--model", a.model}});
  gradwalk::Generator generator;
  const Classifier classifier = load_classifier(a.model, generator, /*fused=*/false);
  for_each_text(a.texts, [&](const std::string& text, const std::string&) {
    const auto ids = classifier.vocabulary.encode(text, classifier.config.max_tokens);
    std::vector<std::string> words;
    for (std::int64_t id : ids)
      words.push_back(classifier.vocabulary.words()[static_cast<std::size_t>(id)]);
    gradwalk::Trace trace;
    trace.name(*classifier.model);
    trace.words(words);
    const SentimentModel::Decision decision = classifier.model->explain(ids);
    trace.save_page(a.page);
    if (!trace.stopped().empty())
      std::fprintf(stderr, "the page ends early: %s\n", trace.stopped().c_str());
    std::printf("%zu  %.4f  %s\npage: %s\n", decision.label, decision.probabilities[decision.label],
                printable(text).c_str(), a.page.c_str());
  });
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app{"Learns to tell classes of sentences apart, with a small model on gradwalk."};
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  Arguments a;

  CLI::App* train = app.add_subcommand("train", "Trains a model and keeps its best epoch on dev.");
  train->footer(
      "Files are UTF-8 lines of label<TAB>text, labels 0 to C-1. Without --train: a\n"
      "built-in corpus, on which the order of the words decides.");
  auto* train_file = train->add_option("--train", a.train, "File to train on");
  auto* dev_file = train->add_option("--dev", a.dev, "File that chooses the best epoch");
  train_file->needs(dev_file);
  dev_file->needs(train_file);
  train->add_option("--test", a.test, "File to evaluate at the end")->needs(train_file);
  train->add_option("--save", a.save, "Where the best model goes, a safetensors file")
      ->check(not_empty());
  add_checkpoint(*train, a.checkpoint);
  add_report(*train, a.report);
  train
      ->add_option("--profile", a.profile,
                   "Print what each op cost, and write a file for chrome://tracing")
      ->check(not_empty());
  train->add_option("--vectors", a.vectors,
                    "Start from word vectors: GloVe, word2vec (text or binary) or fastText .vec;\n"
                    "brings its 50,000 first words along, and its dimension");
  train->add_flag("--freeze", a.freeze, "Leave the embedding as it starts: train only the rest");
  train->add_flag("--sparse,!--dense", a.sparse,
                  "Row-sparse gradients of the embedding (the default), or dense ones");
  train->add_option("--optimizer", a.options.optimizer, "sgd (momentum 0.9) or one of the others")
      ->check(CLI::IsMember({"adam", "adamw", "sgd", "adagrad", "rmsprop"}))
      ->capture_default_str();
  train
      ->add_option("--policy", a.options.policy,
                   "What happens to rows of the embedding that get no gradient: nothing (lazy),\n"
                   "what the dense optimizer does, later (exact) or at once (densify)")
      ->check(CLI::IsMember({"lazy", "exact", "densify"}))
      ->capture_default_str();
  train->add_flag("--verbose", a.options.verbose, "Describe the embedding's gradient");
  train
      ->add_option("--model", a.config.kind,
                   "lstm or gru, which read word by word; cnn: windows of 3, 4 and 5 words (Kim\n"
                   "2014); bag: the mean of the embeddings")
      ->check(CLI::IsMember({"lstm", "gru", "cnn", "bag"}))
      ->capture_default_str();
  const CLI::Option* const recurrent[] = {
      train
          ->add_option("--layers", a.config.layers,
                       "Of lstm and gru: each reads what the one below it wrote")
          ->check(CLI::Range(1, 64))
          ->capture_default_str(),
      train->add_flag("--bidirectional", a.config.bidirectional,
                      "Of lstm and gru: each layer reads from the end as well"),
      train
          ->add_option("--pool", a.config.pool,
                       "Of lstm and gru: what is kept of the states, the last one or, for each\n"
                       "number, the mean or the greatest")
          ->check(CLI::IsMember({"last", "mean", "max"}))
          ->capture_default_str()};
  auto* dim = train->add_option("--embedding-dim", a.config.embedding_dim, "Numbers per word")
                  ->check(CLI::Range(1, 4096))
                  ->capture_default_str();
  auto* hidden = train
                     ->add_option("--hidden", a.config.hidden,
                                  "Size of the state of lstm and gru, in each direction; of cnn:\n"
                                  "features for each width [128, 100 for cnn]")
                     ->check(CLI::Range(1, 4096));
  train->add_option("--dropout", a.config.dropout, "Share zeroed in training")
      ->check(number_in(0, 0.99))
      ->capture_default_str();
  train->add_option("--epochs", a.options.epochs, "Passes over the training file")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  train->add_option("--batch", a.options.batch_size, "Sentences per step")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  train
      ->add_option("--lr", a.options.lr,
                   "Learning rate [0.3 for sgd, 0.02 for adagrad, 0.001 for the others]")
      ->check(number_above_zero(10));
  train->add_option("--clip", a.options.clip, "Largest norm of the gradient")
      ->check(number_above_zero(1e9))
      ->capture_default_str();
  train->add_option("--min-count", a.min_count, "Rarer words are <unk>, unless --vectors has them")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  train
      ->add_option("--max-tokens", a.config.max_tokens,
                   "The rest of a longer text is not read; an empty text is one <unk>")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  train->add_option("--seed", a.seed, "Same seed, same model, on the same kind of machine")
      ->check(seed_number())
      ->capture_default_str();

  CLI::App* evaluate = app.add_subcommand("evaluate", "Measures a model on a file.");
  evaluate->add_option("--model", a.model, "File that train --save wrote")->required();
  evaluate->add_option("--data", a.data, "label<TAB>text lines; else the built-in test sentences");
  evaluate
      ->add_option("--logits", a.logits,
                   "Where ids, lengths, labels and logits of each batch go, a safetensors file")
      ->check(not_empty());

  CLI::App* predict = app.add_subcommand(
      "predict",
      "Prints label, probability and text; on a terminal, colours each word by how much\n"
      "it pushed the decision: green towards the label, red away from it.");
  predict->add_option("--model", a.model, "File that train --save wrote")->required();
  predict->add_option("TEXT", a.texts, "A text each; none: lines from standard input");

  CLI::App* see = app.add_subcommand(
      "see", "Writes a page that plays what a model does with a text, forwards and backwards.");
  see->add_option("--model", a.model, "File that train --save wrote")->required();
  see->add_option("--page", a.page, "Where it goes, an HTML file")->required()->check(not_empty());
  see->add_option("TEXT", a.texts, "The text")->required()->expected(1);

  CLI::App* corpus = app.add_subcommand(
      "corpus", "Writes the built-in corpus as train.tsv, dev.tsv and test.tsv.");
  corpus->add_option("FOLDER", a.folder, "Where they go; files that are there are replaced")
      ->required()
      ->check(not_empty());

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  }
  if (a.config.kind == "cnn" && hidden->count() == 0) a.config.hidden = 100;
  for (const CLI::Option* option : recurrent) {
    check(option->count() == 0 || a.config.kind == "lstm" || a.config.kind == "gru",
          option->get_name(), " is for lstm and gru, got --model ", a.config.kind);
  }
  check(hidden->count() == 0 || a.config.kind != "bag",
        "--hidden is for lstm, gru and cnn, got --model bag");
  if (train->parsed()) return run_train(a, dim->count() > 0);
  if (corpus->parsed()) return run_corpus(a);
  return with_model_file(a.model, [&] {
    return see->parsed() ? run_see(a) : evaluate->parsed() ? run_evaluate(a) : run_predict(a);
  });
}

}  // namespace

int main(int argc, char** argv) { return run_program("sentiment", run, argc, argv); }
