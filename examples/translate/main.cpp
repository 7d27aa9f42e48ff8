// The command line: train, evaluate and predict.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "core/core.hpp"
#include "examples/text.hpp"
#include "examples/translate/picture.hpp"
#include "examples/translate/search.hpp"
#include "examples/translate/train.hpp"
#include "layers/file.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::FileError;

namespace translate {
namespace {

constexpr std::size_t kMaxTokens = 1000;  // of a text to translate

struct Arguments {
  std::string save;  // train
  std::size_t pairs = 8000;
  std::uint64_t seed = 1;
  ModelConfig config;
  TrainOptions options;
  std::string model;  // evaluate and predict
  std::size_t beam = 1;
  std::string attention;  // predict
  std::vector<std::string> texts;
};

void print_exact(const std::vector<Pair>& pairs, const std::vector<std::string>& outputs) {
  const std::size_t matches = exact_matches(pairs, outputs);
  std::printf("exact match %.4f (%zu/%zu)\n",
              static_cast<double>(matches) / static_cast<double>(pairs.size()), matches,
              pairs.size());
}

int run_train(const Arguments& a) {
  check_outputs({{"--save", a.save}}, {});
  const Corpus corpus = built_in_corpus(a.pairs);
  gradwalk::Generator generator(a.seed);
  Model model;
  model.config = a.config;
  model.vocabularies = build_vocabularies(corpus.train);
  const std::size_t source_size = model.vocabularies.source.size(),
                    target_size = model.vocabularies.target.size();
  model.translator = std::make_unique<Translator>(a.config, source_size, target_size, generator);
  std::printf("%zu train, %zu dev and %zu test pairs; tokens: %zu source, %zu target\n",
              corpus.train.size(), corpus.dev.size(), corpus.test.size(), source_size, target_size);
  std::fflush(stdout);

  catch_interrupt();
  const History history = train(model, corpus.train, corpus.dev, a.options, generator, [&] {
    if (!a.save.empty()) save_model(a.save, model);
  });
  if (history.best_epoch == 0) {
    std::fprintf(stderr, "translate: stopped by Ctrl-C before anything was trained\n");
    return kInterrupted;
  }
  std::printf("best: epoch %zu, dev %.4f\n", history.best_epoch, history.best_exact);
  if (!a.save.empty()) std::printf("saved: %s\n", a.save.c_str());
  if (history.interrupted) {
    std::fflush(stdout);
    std::fprintf(
        stderr, "translate: stopped by Ctrl-C; %s%s\n",
        a.save.empty() ? "nothing was saved, there is no --save" : "the best model so far is in ",
        a.save.c_str());
    return kInterrupted;
  }
  const std::vector<std::string> outputs = translations(model, corpus.test);
  std::puts("");
  for (std::size_t n = 0; n < 5; ++n) {
    std::printf("%-10s  %s\n", outputs[n].c_str(), corpus.test[n].source.c_str());
  }
  std::puts("");
  print_exact(corpus.test, outputs);
  return 0;
}

int run_evaluate(const Arguments& a) {
  const Model model = load_model(a.model);
  const std::vector<Pair> test = built_in_corpus(0).test;
  const std::vector<std::string> outputs = translations(model, test, a.beam);
  for (std::size_t n = 0; n < test.size(); ++n) {
    if (outputs[n] == test[n].target) continue;
    std::printf("%-10s  not %-10s  %s\n", outputs[n].c_str(), test[n].target.c_str(),
                test[n].source.c_str());
  }
  print_exact(test, outputs);
  return 0;
}

void draw_attention(const std::string& path, const Model& model, const Ids& source,
                    const Ids& output) {
  const gradwalk::NoGrad no_grad;
  Ids before = output;  // what the decoder had said before each token
  before.insert(before.begin(), Vocabulary::kEnd);
  before.pop_back();
  const auto [memory, state] = model.translator->encode(make_batch({source}));
  Array weights = model.translator->decode(make_batch({before}).ids, memory, state).weights.value();
  weights.reshape({output.size(), source.size()});
  const auto spelled = [](const Vocabulary& vocabulary, const Ids& ids) {
    std::vector<std::string> out;
    for (std::int64_t id : ids) out.push_back(vocabulary.tokens()[static_cast<std::size_t>(id)]);
    return out;
  };
  const std::string svg = svg_attention(weights, spelled(model.vocabularies.source, source),
                                        spelled(model.vocabularies.target, output));
  gradwalk::write_file(path,
                       [&](const gradwalk::File& file) { file.write(svg.data(), svg.size()); });
}

// `where` begins the texts of errors.
void predict(const Arguments& a, const Model& model, std::string text, const std::string& where) {
  check<FileError>(is_utf8(text), where, "is not UTF-8");
  for (char& c : text) c = c == '\t' || c == '\n' || c == '\r' ? ' ' : c;  // one text, one line
  const Ids source = model.vocabularies.source.encode(tokens(text));
  check<FileError>(source.size() <= kMaxTokens, where, "is longer than ", kMaxTokens - 1,
                   " tokens");
  const std::vector<Hypothesis> best = beam_search(*model.translator, source, a.beam);
  for (const Hypothesis& h : best) {
    std::printf("%-10s  %.4f  %s\n", model.vocabularies.target.decode(h.ids).c_str(),
                std::exp(h.log_probability), text.c_str());
  }
  if (!a.attention.empty()) draw_attention(a.attention, model, source, best.front().ids);
}

int run_predict(const Arguments& a) {
  check(a.attention.empty() || a.texts.size() == 1, "--attention: draws one TEXT, got ",
        a.texts.size());
  check_outputs({{"--attention", a.attention}}, {{"--model", a.model}});
  const Model model = load_model(a.model);
  for (const std::string& text : a.texts) predict(a, model, text, "TEXT: ");
  if (!a.texts.empty()) return 0;
  std::string line;
  for (std::size_t number = 0; next_line(std::cin, line, number);) {
    predict(a, model, line, gradwalk::message("standard input:", number, ": "));
  }
  check<FileError>(std::cin.eof() && !std::cin.bad(), "standard input: cannot be read");
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app{"Learns to write dates as ISO 8601 does, with LSTMs and attention on gradwalk."};
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  Arguments a;

  CLI::App* train = app.add_subcommand("train", "Trains a model and keeps its best epoch on dev.");
  train->footer("The dates are made up, those of dev and of test never occur in training.");
  train->add_option("--save", a.save, "Where the best model goes, a safetensors file");
  train->add_option("--pairs", a.pairs, "Dates to train on")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  train->add_option("--embedding-dim", a.config.embedding_dim, "Numbers per token")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  train->add_option("--hidden", a.config.hidden, "Size of the encoder's state, in each direction")
      ->check(CLI::Range(1, 2048))
      ->capture_default_str();
  train->add_option("--epochs", a.options.epochs, "Passes over the pairs")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  train->add_option("--batch", a.options.batch_size, "Pairs per step")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  train->add_option("--lr", a.options.lr, "Adam's learning rate at the start; falls to 0")
      ->check(CLI::Range(1e-9, 10.0))
      ->capture_default_str();
  train->add_option("--clip", a.options.clip, "Largest norm of the gradient")
      ->check(CLI::Range(1e-6, 1e9))
      ->capture_default_str();
  train->add_option("--seed", a.seed, "Same seed, same model, on the same kind of machine")
      ->check(CLI::Range(0.0, 1e18))
      ->capture_default_str();

  CLI::App* evaluate =
      app.add_subcommand("evaluate", "Translates the test dates: lists mistakes, counts the rest.");
  CLI::App* predict = app.add_subcommand(
      "predict", "Prints translation, probability and text; with --beam K, the K best.");
  for (CLI::App* command : {evaluate, predict}) {
    command->add_option("--model", a.model, "File that train --save wrote")->required();
    command->add_option("--beam", a.beam, "Translations that are followed up; 1: greedy")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
  }
  predict->add_option("--attention", a.attention,
                      "Where a drawing of what the best translation looked at goes, an SVG file");
  predict->add_option("TEXT", a.texts, "A date each; none: lines from standard input");
  CLI11_PARSE(app, argc, argv);
  if (train->parsed()) return run_train(a);
  return evaluate->parsed() ? run_evaluate(a) : run_predict(a);
}

}  // namespace
}  // namespace translate

int main(int argc, char** argv) { return run_program("translate", translate::run, argc, argv); }
