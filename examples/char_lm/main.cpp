// The command line: train and sample.
#include <cmath>
#include <cstdio>
#include <optional>

#include "core/core.hpp"
#include "examples/char_lm/train.hpp"
#include "examples/model_file.hpp"
#include "examples/options.hpp"
#include "examples/report.hpp"
#include "examples/text.hpp"

using gradwalk::check;
using gradwalk::FileError;
using gradwalk::Generator;

namespace char_lm {
namespace {

struct Arguments {
  std::vector<std::string> files;  // train
  std::string save, report;
  ModelConfig config;
  TrainOptions options;
  CheckpointOptions checkpoint;
  std::string model, prompt;  // sample
  std::vector<double> temperatures{0.8};
  std::size_t num_characters = 500;
  std::uint64_t seed = 1;
};

// Each temperature starts from the same seed, so that its text does not depend on the others.
void print_samples(CharModel& model, const Alphabet& alphabet, const Arguments& a) {
  for (double temperature : a.temperatures) {
    Generator generator(a.seed);
    const std::string text =
        write_text(model, alphabet, a.prompt, a.num_characters, temperature, generator);
    if (interrupted()) return;
    std::printf("--- temperature %g\n%s\n", temperature, printable(text).c_str());
  }
}

std::string one_line(std::string text) {
  for (char& c : text) c = c == '\n' || c == '\t' ? ' ' : c;
  return printable(text);
}

Report::Json config_of(const Arguments& a) {
  return {{"files", a.files},
          {"dim", a.config.dim},
          {"hidden", a.config.hidden},
          {"layers", a.config.layers},
          {"dropout", a.config.dropout},
          {"epochs", a.options.epochs},
          {"batch", a.options.batch},
          {"length", a.options.length},
          {"lr", a.options.lr},
          {"seed", a.seed}};
}

int run_train(Arguments a) {
  const bool own = a.files.empty();
  if (own) a.files = documents_of(CHAR_LM_DOCUMENTS);
  std::vector<FileOption> inputs{a.checkpoint.input()};
  for (const std::string& path : a.files) inputs.push_back({"FILE", path});
  check_outputs({{"--save", a.save}, {"--report", a.report}, a.checkpoint.output()}, inputs);

  const std::string text = read_texts(a.files);
  std::vector<std::string_view> all = characters(text);
  constexpr std::size_t kFewest = 20;
  check<FileError>(all.size() >= kFewest, a.files.back(),
                   a.files.size() == 1 ? ": has " : ": ends a text of ", all.size(),
                   " characters; at least ", kFewest, " are needed");
  const auto tail = all.end() - static_cast<std::ptrdiff_t>(all.size() / 10);
  const std::vector<std::string_view> held_out(tail, all.end());
  all.erase(tail, all.end());
  const Alphabet alphabet(all);
  check<FileError>(alphabet.size() > 1, a.files.back(),
                   ": ends a text in which no character occurs twice");
  const std::vector<std::int64_t> ids = alphabet.encode(all);
  const std::vector<Chunk> chunks = make_chunks(ids, a.options.batch, a.options.length);
  const std::vector<Chunk> held_out_chunks =
      make_chunks(alphabet.encode(held_out), a.options.batch, a.options.length);
  catch_interrupt();
  std::printf("%s%s characters to train on, %s held out, %s different\n",
              own ? "README.md and docs/*.md: " : "", thousands(ids.size()).c_str(),
              thousands(held_out.size()).c_str(), thousands(alphabet.size() - 1).c_str());
  std::printf("held-out perplexity %.4g for a model that counts characters\n",
              unigram_perplexity(ids, alphabet.size(), held_out_chunks));
  std::fflush(stdout);

  Generator generator(a.seed);
  CharModel model(a.config, alphabet.size(), generator);
  std::optional<Report> report;
  if (!a.report.empty())
    report.emplace(Report::Paths{a.report}, "char_lm", config_of(a), model.state_dict());
  Saves save("char_lm");
  const auto after_epoch = [&](const Epoch& epoch, bool best) {
    constexpr std::size_t kCharacters = 72;
    Generator own_generator(a.seed);  // training goes on as if nothing had been drawn
    const std::string sample = write_text(model, alphabet, "", kCharacters, 0.8, own_generator);
    std::printf("epoch %zu  perplexity %.4g  held-out %.4g  %.1f s\n  %s\n", epoch.number,
                epoch.train, epoch.held_out, epoch.seconds, one_line(sample).c_str());
    std::fflush(stdout);
    if (best && !a.save.empty()) save([&] { save_model(a.save, a.config, alphabet, model); });
    if (!report) return;
    report->end_epoch({{"epoch", epoch.number},
                       {"loss", std::log(epoch.train)},
                       {"perplexity", epoch.train},
                       {"held_out_perplexity", epoch.held_out},
                       {"seconds", epoch.seconds}},
                      best);
  };
  Report::Json what = config_of(a);
  Fingerprint data;
  for (const auto& all_ids : {ids, alphabet.encode(held_out)}) data.add(all_ids);
  what.erase("files");
  what["data"] = data.value();
  Checkpoints checkpoints(a.checkpoint, "char_lm", what, report ? &*report : nullptr);
  const Epoch best =
      train(model, chunks, held_out_chunks, a.options, generator, after_epoch, checkpoints);
  if (best.number == 0) return stopped("char_lm", false, a.save, checkpoints.path());
  std::printf("best: epoch %zu, held-out %.4g\n", best.number, best.held_out);
  if (!a.checkpoint.resume.empty() && !a.save.empty())  // its best epoch may have been before
    save([&] { save_model(a.save, a.config, alphabet, model); });
  const bool saved = save.finish();
  if (saved && !a.save.empty()) std::printf("saved: %s\n", a.save.c_str());
  std::fflush(stdout);
  a.temperatures = {0.5, 0.8, 1.0};
  print_samples(model, alphabet, a);
  if (report) report->end(interrupted());
  if (!saved || !checkpoints.saved()) return 1;
  return interrupted() ? stopped("char_lm", true, a.save, checkpoints.path()) : 0;
}

int run_sample(const Arguments& a) {
  check(is_utf8(a.prompt), "--prompt is not UTF-8");
  Generator generator;
  const LanguageModel loaded = load_model(a.model, generator);
  print_samples(*loaded.model, loaded.alphabet, a);
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app{"Learns to write like a text, character by character, with an LSTM on gradwalk."};
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  Arguments a;

  CLI::App* train = app.add_subcommand(
      "train",
      "Trains a model, keeps its best epoch on the last tenth of the text, and shows\n"
      "what it writes.");
  train->add_option("FILE", a.files,
                    "UTF-8 texts, read one after the other; none: this project's own documents");
  train->add_option("--save", a.save, "Where the best model goes, a safetensors file")
      ->check(not_empty());
  add_checkpoint(*train, a.checkpoint);
  add_report(*train, a.report);
  train->add_option("--dim", a.config.dim, "Numbers per character")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  train->add_option("--hidden", a.config.hidden, "Size of the LSTM's state")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  train->add_option("--layers", a.config.layers, "LSTMs, one above the other")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  train->add_option("--dropout", a.config.dropout, "Share zeroed in training")
      ->check(number_in(0, 0.99))
      ->capture_default_str();
  train->add_option("--lr", a.options.lr, "Adam's learning rate at the start; falls to 0")
      ->check(number_above_zero(10))
      ->capture_default_str();
  train->add_option("--epochs", a.options.epochs, "Passes over the text")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  train
      ->add_option("--batch", a.options.batch,
                   gradwalk::message("Places at which the text is read at once, if they are ",
                                     kShortestColumn, "\ncharacters apart, or else fewer"))
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  train
      ->add_option("--length", a.options.length,
                   "Steps that a gradient goes back (truncated backpropagation through\n"
                   "time); what the LSTM remembers goes further")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();

  CLI::App* sample = app.add_subcommand("sample", "Lets a model write.");
  sample->add_option("--model", a.model, "File that train --save wrote")->required();
  sample
      ->add_option("--temperature", a.temperatures,
                   "Below 1: likely characters become likelier; 0: always the likeliest;\n"
                   "several of them: a text each")
      ->check(number_in(0, 100))
      ->capture_default_str();
  sample->add_option("--prompt", a.prompt, "How the text begins");
  sample->add_option("--characters", a.num_characters, "Characters to write after the prompt")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  for (CLI::App* command : {train, sample}) {
    command->add_option("--seed", a.seed, "Same seed, same text, on the same kind of machine")
        ->check(seed_number())
        ->capture_default_str();
  }
  CLI11_PARSE(app, argc, argv);
  return train->parsed() ? run_train(a) : with_model_file(a.model, [&] { return run_sample(a); });
}

}  // namespace
}  // namespace char_lm

int main(int argc, char** argv) { return run_program("char_lm", char_lm::run, argc, argv); }
