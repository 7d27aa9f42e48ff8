// The command line: train, evaluate, predict and see.
#include <cmath>
#include <cstdio>
#include <optional>

#include "core/core.hpp"
#include "core/file.hpp"
#include "examples/model_file.hpp"
#include "examples/options.hpp"
#include "examples/report.hpp"
#include "examples/text.hpp"
#include "examples/translate/picture.hpp"
#include "examples/translate/search.hpp"
#include "examples/translate/train.hpp"

using gradwalk::Array;
using gradwalk::check;
using gradwalk::FileError;

namespace translate {
namespace {

constexpr std::size_t kMaxTokens = 1000;  // of a text to translate

struct Arguments {
  std::string save, report;  // train
  std::size_t pairs = 8000;
  std::uint64_t seed = 1;
  ModelConfig config;
  TrainOptions options;
  CheckpointOptions checkpoint;
  std::string model;  // evaluate and predict
  std::size_t beam = 1;
  std::string attention;  // predict
  std::string page;       // see
  std::vector<std::string> texts;
};

void print_exact(const std::vector<Pair>& pairs, const std::vector<std::string>& outputs) {
  const std::size_t matches = exact_matches(pairs, outputs);
  std::printf("exact match %.4f (%zu/%zu)\n", ratio(matches, pairs.size()), matches, pairs.size());
}

Report::Json config_of(const Arguments& a) {
  return {{"pairs", a.pairs},
          {"embedding_dim", a.config.embedding_dim},
          {"hidden", a.config.hidden},
          {"epochs", a.options.epochs},
          {"batch", a.options.batch_size},
          {"lr", a.options.lr},
          {"clip", a.options.clip},
          {"seed", a.seed}};
}

int run_train(const Arguments& a) {
  check_outputs({{"--save", a.save}, {"--report", a.report}, a.checkpoint.output()},
                {a.checkpoint.input()});
  const Corpus corpus = built_in_corpus(a.pairs);
  gradwalk::Generator generator(a.seed);
  Model model;
  model.config = a.config;
  model.vocabularies = build_vocabularies(corpus.train);
  const std::size_t source_size = model.vocabularies.source.size(),
                    target_size = model.vocabularies.target.size();
  model.translator = std::make_unique<Translator>(a.config, source_size, target_size, generator);
  catch_interrupt();
  std::printf("%s train, %s dev and %s test pairs; tokens: %s source, %s target\n",
              thousands(corpus.train.size()).c_str(), thousands(corpus.dev.size()).c_str(),
              thousands(corpus.test.size()).c_str(), thousands(source_size).c_str(),
              thousands(target_size).c_str());
  std::fflush(stdout);

  std::optional<Report> report;
  if (!a.report.empty()) {
    report.emplace(Report::Paths{a.report}, "translate", config_of(a),
                   model.translator->state_dict());
  }
  Saves save("translate");
  const auto after_epoch = [&](const Epoch& epoch, bool best) {
    if (best && !a.save.empty()) save([&] { save_model(a.save, model); });
    if (!report) return;
    report->end_epoch({{"epoch", epoch.number},
                       {"loss", epoch.loss},
                       {"dev", epoch.dev},
                       {"seconds", epoch.seconds}},
                      best);
  };
  Checkpoints checkpoints(a.checkpoint, "translate", config_of(a), report ? &*report : nullptr);
  const Epoch best =
      train(model, corpus.train, corpus.dev, a.options, generator, after_epoch, checkpoints);
  if (best.number == 0) return stopped("translate", false, a.save, checkpoints.path());
  std::printf("best: epoch %zu, dev %.4f\n", best.number, best.dev);
  if (!a.checkpoint.resume.empty() && !a.save.empty())  // its best epoch may have been before
    save([&] { save_model(a.save, model); });
  const bool saved = save.finish();
  if (saved && !a.save.empty()) std::printf("saved: %s\n", a.save.c_str());
  const std::vector<std::string> outputs = translations(model, corpus.test);
  if (!interrupted()) {
    std::puts("");
    for (std::size_t n = 0; n < 5; ++n) {
      std::printf("%-10s  %s\n", outputs[n].c_str(), corpus.test[n].source.c_str());
    }
    std::puts("");
    print_exact(corpus.test, outputs);
    if (report) report->json["test"] = ratio(exact_matches(corpus.test, outputs), outputs.size());
  }
  if (report) report->end(interrupted());
  if (!saved || !checkpoints.saved()) return 1;
  return interrupted() ? stopped("translate", true, a.save, checkpoints.path()) : 0;
}

int run_evaluate(const Arguments& a) {
  const Model model = load_model(a.model);
  const std::vector<Pair> test = built_in_corpus(0).test;
  const std::vector<std::string> outputs = translations(model, test, a.beam);
  for (std::size_t n = 0; n < test.size(); ++n) {
    if (outputs[n] == test[n].target) continue;
    std::printf("%-10s  not %-10s  %s\n", printable(outputs[n]).c_str(), test[n].target.c_str(),
                test[n].source.c_str());
  }
  print_exact(test, outputs);
  return 0;
}

// What the decoder thinks of each token of its own output.
Translator::Decoded decode_again(const Model& model, const Ids& source, const Ids& output) {
  Ids before = output;  // what it had said before each token
  before.insert(before.begin(), Vocabulary::kEnd);
  before.pop_back();
  const auto [memory, state] = model.translator->encode(make_batch({source}));
  return model.translator->decode(make_batch({before}).ids, memory, state);
}

void draw_attention(const std::string& path, const Model& model, std::vector<std::string> words,
                    const Ids& output) {
  const gradwalk::NoGrad no_grad;
  const Ids source = model.vocabularies.source.encode(words);
  Array weights = decode_again(model, source, output).weights.value();
  weights.reshape({output.size(), source.size()});
  words.push_back(model.vocabularies.source.tokens()[Vocabulary::kEnd]);
  std::vector<std::string> said;
  for (std::int64_t id : output) {
    said.push_back(model.vocabularies.target.tokens()[static_cast<std::size_t>(id)]);
  }
  const std::string svg = svg_attention(weights, words, said);
  gradwalk::write_file(path, svg);
}

Ids encoded(const Model& model, const std::string& text, const std::string& where) {
  const Ids source = model.vocabularies.source.encode(tokens(text));
  check<FileError>(source.size() <= kMaxTokens, where, "is longer than ", kMaxTokens - 1,
                   " tokens");
  return source;
}

// `where` begins the texts of errors.
void predict(const Arguments& a, const Model& model, const std::string& text,
             const std::string& where) {
  const Ids source = encoded(model, text, where);
  const std::vector<Hypothesis> best = beam_search(*model.translator, source, a.beam);
  for (const Hypothesis& h : best) {
    std::printf("%-10s  %.4f  %s\n", printable(model.vocabularies.target.decode(h.ids)).c_str(),
                std::exp(h.score()), printable(text).c_str());
  }
  if (!a.attention.empty()) draw_attention(a.attention, model, tokens(text), best.front().ids);
}

int run_predict(const Arguments& a) {
  check(a.attention.empty() || a.texts.size() == 1, "--attention: draws one TEXT, got ",
        a.texts.size());
  check_outputs({{"--attention", a.attention}}, {{"--model", a.model}});
  const Model model = load_model(a.model);
  for_each_text(a.texts, [&](const std::string& text, const std::string& where) {
    predict(a, model, text, where);
  });
  return 0;
}

// The step that would make the model surer of its own translation.
int run_see(const Arguments& a) {
  check_outputs({{"--page", a.page}}, {{"--model", a.model}});
  const Model model = load_model(a.model);
  for_each_text(a.texts, [&](const std::string& text, const std::string& where) {
    const Ids source = encoded(model, text, where);
    const Ids output = greedy(*model.translator, {source})[0];
    gradwalk::Trace trace;
    trace.name(*model.translator);
    std::vector<std::string> words = tokens(text);
    words.push_back(model.vocabularies.source.tokens()[Vocabulary::kEnd]);
    trace.words(words);
    const gradwalk::Tensor logits = decode_again(model, source, output).logits;  // [1, U, V]
    backward(softmax_cross_entropy(reshape(logits, {output.size(), logits.shape(2)}), output));
    trace.save_page(a.page);
    if (!trace.stopped().empty())
      std::fprintf(stderr, "the page ends early: %s\n", trace.stopped().c_str());
    std::printf("%-10s  %s\npage: %s\n",
                printable(model.vocabularies.target.decode(output)).c_str(),
                printable(text).c_str(), a.page.c_str());
  });
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app{"Learns to write dates as ISO 8601 does, with LSTMs and attention on gradwalk."};
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  Arguments a;

  CLI::App* train = app.add_subcommand("train", "Trains a model and keeps its best epoch on dev.");
  train->footer("The dates are made up, those of dev and of test never occur in training.");
  train->add_option("--save", a.save, "Where the best model goes, a safetensors file")
      ->check(not_empty());
  add_checkpoint(*train, a.checkpoint);
  add_report(*train, a.report);
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
      ->check(number_above_zero(10))
      ->capture_default_str();
  train->add_option("--clip", a.options.clip, "Largest norm of the gradient")
      ->check(number_above_zero(1e9))
      ->capture_default_str();
  train->add_option("--seed", a.seed, "Same seed, same model, on the same kind of machine")
      ->check(seed_number())
      ->capture_default_str();

  CLI::App* evaluate =
      app.add_subcommand("evaluate", "Translates the test dates: lists mistakes, counts the rest.");
  CLI::App* predict = app.add_subcommand(
      "predict",
      "Prints translation, probability and text; with --beam K, the K best. The\n"
      "probability is that of a character, their geometric mean, or long translations would\n"
      "never be the best.");
  predict->footer(
      "It has learned English dates of the years 1500 to 2099, with or without a day:\n"
      "  the third of march nineteen eighty-four   the 3rd of march 1984   3 mar 1984\n"
      "  march the third, two thousand and six     mar 3, 2006             march 2006\n"
      "It copies what it reads: a day that the calendar does not have as well.");
  for (CLI::App* command : {evaluate, predict}) {
    command->add_option("--model", a.model, "File that train --save wrote")->required();
    command->add_option("--beam", a.beam, "Translations that are followed up; 1: greedy")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
  }
  predict
      ->add_option("--attention", a.attention,
                   "Where a drawing of what the best translation looked at goes, an SVG file")
      ->check(not_empty());
  predict->add_option("TEXT", a.texts, "A date each; none: lines from standard input");
  CLI::App* see = app.add_subcommand(
      "see", "Writes a page that plays how a date is translated, forwards and backwards.");
  see->add_option("--model", a.model, "File that train --save wrote")->required();
  see->add_option("--page", a.page, "Where it goes, an HTML file")->required()->check(not_empty());
  see->add_option("TEXT", a.texts, "The date")->required()->expected(1);
  CLI11_PARSE(app, argc, argv);
  if (train->parsed()) return run_train(a);
  return with_model_file(a.model, [&] {
    return see->parsed() ? run_see(a) : evaluate->parsed() ? run_evaluate(a) : run_predict(a);
  });
}

}  // namespace
}  // namespace translate

int main(int argc, char** argv) { return run_program("translate", translate::run, argc, argv); }
