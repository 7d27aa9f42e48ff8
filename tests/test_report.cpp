// --report and --see: what is kept of a training, and that the training does not notice.
#include <cmath>
#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/core.hpp"
#include "examples/report.hpp"
#include "examples/text.hpp"
#include "examples/word2vec/map.hpp"
#include "examples/word2vec/skipgram.hpp"
#include "layers/files/word_vectors.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/child.hpp"
#include "tests/programs.hpp"

namespace {

using namespace programs;
using gradwalk::Array;
using nlohmann::json;

json json_of(const std::string& path) { return json::parse(read(path)); }

// The JSON that a page draws.
json json_in(const std::string& path) {
  const std::string page = read(path), begin = R"(id="report">)";
  const std::size_t from = page.find(begin) + begin.size();
  return json::parse(page.substr(from, page.find("</script>", from) - from));
}

}  // namespace

TEST_CASE("report: norms and rows of an epoch, by hand", "[report]") {
  const Folder folder;
  const std::string path = folder / "report.json", page = folder / "report.html";
  gradwalk::Generator generator(1);
  gradwalk::Embedding table(4, 2, generator);
  gradwalk::Linear unused(2, 2, generator);
  gradwalk::SGD sgd(table.parameters(), {0.1});
  gradwalk::StateDict parameters = table.state_dict();
  for (const auto& named : unused.state_dict()) parameters.push_back(named);
  Report report({path, "", page}, "test", {{"name", "a</script>b\xFF"}}, parameters);
  // The gradient of row ids[i] is factors[i].
  const auto step = [&](const gradwalk::Indices& ids, const Array& factors) {
    sgd.zero_grad();
    backward(sum(table(ids) * gradwalk::Tensor(factors)));
    sgd.step();
  };
  step({1, 1, 3}, {{1, 2}, {3, 4}, {0, 5}});  // row 1: (4, 6), row 3: (0, 5)
  step({0}, {{3, 4}});
  CHECK(read(path).empty());
  report.end_epoch({{"epoch", 1}, {"loss", 0.5}}, true);
  step({2, 0}, {{0, 1}, {0, 0}});
  report.end_epoch({{"epoch", 2}, {"loss", std::numeric_limits<double>::infinity()}});
  step({2}, {{std::numeric_limits<gradwalk::Real>::quiet_NaN(), 1}});
  step({2}, {{1, 1}});
  report.end_epoch({{"epoch", 3}, {"loss", std::nan("")}});

  const json j = json_of(path), &epochs = j["epochs"];
  CHECK(j == json_in(page));
  CHECK(read(page).find("a</script>b") == std::string::npos);
  CHECK(j["config"]["name"] == "a</script>b\xEF\xBF\xBD");
  CHECK(j["program"] == "test");
  CHECK(j["best_epoch"] == 1);
  CHECK(!j.contains("interrupted"));  // it is not over
  REQUIRE(epochs.size() == 3);
  const auto of = [&](std::size_t epoch) { return epochs[epoch]["gradients"]["weight"]; };
  CHECK(epochs[0]["gradients"].size() == 1);  // what no optimizer moves is not there
  CHECK_THAT(of(0)["mean"].get<double>(), WithinRel((std::sqrt(77.0) + 5) / 2, 1e-6));
  CHECK_THAT(of(0)["largest"].get<double>(), WithinRel(std::sqrt(77.0), 1e-6));
  CHECK(of(0)["step_rows"] == (0.5 + 0.25) / 2);
  CHECK(of(0)["epoch_rows"] == 0.75);
  CHECK(of(1) == json{{"mean", 1}, {"largest", 1}, {"step_rows", 0.5}, {"epoch_rows", 0.5}});
  CHECK(of(2) ==
        json{{"mean", "nan"}, {"largest", "nan"}, {"step_rows", 0.25}, {"epoch_rows", 0.25}});
  CHECK((epochs[1]["loss"] == "inf" && epochs[2]["loss"] == "nan"));
  report.end(false);
  CHECK(json_of(path)["interrupted"] == false);
  CHECK(json_in(page)["interrupted"] == false);
}

TEST_CASE("report: dense gradients have no rows", "[report]") {
  const Folder folder;
  gradwalk::Generator generator(1);
  gradwalk::Linear linear(2, 1, generator);
  gradwalk::Adam adam(linear.parameters());
  Report report({folder / "r"}, "test", {}, linear.state_dict());
  backward(sum(linear(gradwalk::Tensor{{3, 4}})));
  adam.step();
  report.end_epoch({{"epoch", 1}});
  CHECK(json_of(folder / "r")["epochs"][0]["gradients"] ==
        json{{"weight", {{"mean", 5}, {"largest", 5}}}, {"bias", {{"mean", 1}, {"largest", 1}}}});
}

#ifdef GRADWALK_SENTIMENT
namespace {

struct Program {
  std::string name, path;
  std::vector<std::string> arguments, figures;

  std::string command() const {
    std::string all;
    for (const std::string& argument : arguments) all += quoted(argument) + " ";
    return all;
  }
};

std::vector<Program> all_programs(const Folder& folder) {
  const std::string text = folder / "text", tsv = folder / "tsv";
  std::string lines, sentences;
  for (int i = 0; i < 40; ++i) lines += i % 3 ? "a rose is a rose\n" : "the sun is a star\n";
  for (int i = 0; i < 20; ++i) sentences += i % 2 ? "1\tgood film\n" : "0\tbad film\n";
  write(text, lines);
  write(tsv, sentences);
  return {{"sentiment",
           GRADWALK_SENTIMENT,
           {"train", "--hidden", "4", "--embedding-dim", "4", "--train", tsv, "--dev", tsv},
           {"epoch", "loss", "train", "dev", "seconds"}},
          {"translate",
           GRADWALK_TRANSLATE,
           {"train", "--pairs", "64", "--hidden", "4", "--embedding-dim", "4"},
           {"epoch", "loss", "dev", "seconds"}},
          {"char_lm",
           GRADWALK_CHAR_LM,
           {"train", "--hidden", "4", "--dim", "4", text},
           {"epoch", "loss", "perplexity", "held_out_perplexity", "seconds"}},
          {"word2vec",
           GRADWALK_WORD2VEC,
           {"--dim", "4", "--subsample", "0", "--text", text},
           {"epoch", "loss", "seconds"}}};
}

}  // namespace

TEST_CASE("report: every training program writes one, and trains the same", "[report]") {
  const Folder folder;
  const std::string report = folder / "report.json", page = folder / "page.html";
  for (const Program& program : all_programs(folder)) {
    INFO(program.name);
    const auto train = [&](const std::string& model, const std::string& more) {
      const Result result =
          run(program.path, folder,
              program.command() + " --epochs 2 --save " + quoted(folder / model) + more);
      INFO(result.out << result.err);
      REQUIRE(result.code == 0);
      return read(folder / model);
    };
    const std::string without = train("without", "");
    REQUIRE(!without.empty());
    const bool same = train("with", " --report " + quoted(report)) == without;
    const bool same_with_page = train("page", " --report " + quoted(page)) == without;
    CHECK((same && same_with_page));
    const json j = json_of(report);
    CHECK(j["program"] == program.name);
    CHECK(j["config"]["epochs"] == 2);
    CHECK(j["interrupted"] == false);
    REQUIRE(j["epochs"].size() == 2);
    for (const std::string& figure : program.figures) CHECK(j["epochs"][1].contains(figure));
    CHECK(j["epochs"][1]["gradients"].size() >= 2);
    CHECK(j["epochs"][1]["gradients"] == json_in(page)["epochs"][1]["gradients"]);
    CHECK_THAT(read(page), ContainsText("<!doctype html>"));

    const Result twice =
        run(program.path, folder,
            program.command() + " --save " + quoted(report) + " --report " + quoted(report));
    check_error(twice, program.name, "report.json: is named by --save and by --report");
    check_error(run(program.path, folder,
                    program.command() + " --report " + quoted(folder / "no/report.html")),
                program.name, "no/report.html: cannot be written");
  }
}

TEST_CASE("report: the share of rows that a tiny corpus touches", "[report]") {
  const Folder folder;
  write(folder / "tsv", "0\ta b\n1\tc d\n");  // the table: padding, unknown, a, b, c, d
  const auto rows = [&](const std::string& more) {
    REQUIRE(run(GRADWALK_SENTIMENT, folder,
                "train --min-count 1 --epochs 1 --hidden 4 --train " + quoted(folder / "tsv") +
                    " --dev " + quoted(folder / "tsv") + " --report " + quoted(folder / "r") + more)
                .code == 0);
    return json_of(folder / "r")["epochs"][0]["gradients"]["embedding.weight"];
  };
  CHECK_THAT(rows(" --batch 1")["step_rows"].get<double>(), WithinRel(2.0 / 6, 1e-12));
  CHECK_THAT(rows(" --batch 1")["epoch_rows"].get<double>(), WithinRel(4.0 / 6, 1e-12));
  CHECK_THAT(rows(" --batch 2")["step_rows"].get<double>(), WithinRel(4.0 / 6, 1e-12));
  CHECK(!rows(" --dense").contains("step_rows"));
  CHECK(rows(" --freeze").is_null());
}

TEST_CASE("report: Ctrl-C leaves the epochs that were over", "[report]") {
  const Folder folder;
  const std::string report = folder / "report.json";
  for (const Program& program : all_programs(folder)) {
    INFO(program.name);
    std::vector<std::string> arguments = program.arguments;
    arguments.insert(arguments.end(), {"--epochs", "100000", "--report", report});
    const Result result = interrupt(program.path, folder, arguments, "epoch 2");
    CHECK(result.code == 130);
    const json j = json_of(report);
    CHECK(j["interrupted"] == true);
    REQUIRE(!j["epochs"].empty());
    for (std::size_t k = 0; k < j["epochs"].size(); ++k) {
      CHECK(j["epochs"][k]["epoch"] == k + 1);
      CHECK(j["epochs"][k]["gradients"].size() >= 2);
    }
  }
}

TEST_CASE("report: an epoch that Ctrl-C ends is not there", "[report]") {
  struct Interrupt : gradwalk::Observer {
    void on_update(const gradwalk::Tensor&, const char*, bool) override {
      if (armed) std::raise(SIGINT);
      armed = false;
    }
    bool armed = false;
  };
  const Folder folder;
  all_programs(folder);
  CHECK(tests::in_child([&] {
    const Corpus corpus = read_corpus(folder / "text", 1);
    gradwalk::Generator generator(1);
    SkipGram model(corpus.words.size(), 4, generator);
    if (std::freopen("/dev/null", "w", stdout) == nullptr) return false;
    catch_interrupt();
    Interrupt interrupt;
    std::size_t last = 0;
    const auto after_epoch = [&](const Epoch& epoch) {
      last = epoch.number;
      interrupt.armed = last == 2;
    };
    Checkpoints none;
    const bool finished = train(model, corpus, TrainOptions(), generator, after_epoch, none);
    return !finished && last == 2;
  }));
}

TEST_CASE("word2vec: --see has the map at each epoch", "[report]") {
  const Folder folder;
  const std::string page = folder / "see.html", report = folder / "report.json";
  const Result result = run(GRADWALK_WORD2VEC, folder,
                            "--epochs 2 --dim 8 --word cat --save " + quoted(folder / "vectors") +
                                " --report " + quoted(report) + " --see " + quoted(page));
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  const json j = json_in(page), &map = j["map"];
  CHECK(j == json_of(report));
  CHECK(map["words"].size() == 80);
  CHECK(map["words"][0] == "cat");
  CHECK(map["groups"][map["group_of"][0].get<std::size_t>()] == "ANIMAL");
  REQUIRE((map["places"].size() == 3 && map["neighbours"].size() == 3));  // the first: untrained
  std::string printed = "cat:";
  for (const json& neighbour : map["neighbours"][2][0]) {
    char text[100];
    std::snprintf(text, sizeof(text), "  %s %.2f", neighbour[0].get<std::string>().c_str(),
                  neighbour[1].get<double>());
    printed += text;
  }
  CHECK_THAT(result.out, ContainsText(printed + "\n"));
  const double purity = j["epochs"][1]["purity"];
  CHECK_THAT(result.out, ContainsText(gradwalk::message("purity ", purity).substr(0, 12)));

  // the last map is that of the vectors; the others are seen from the same side
  const gradwalk::WordVectors vectors = gradwalk::read_word_vectors(folder / "vectors");
  Array x = gradwalk::empty({80, 8});
  for (std::size_t n = 0; n < 80; ++n) {
    const std::size_t row = *vectors.find(map["words"][n].get<std::string>());
    for (std::size_t d = 0; d < 8; ++d) x(n, d) = vectors.vectors()(row, d);
  }
  const Array places = project(x, principal_axes(x));
  double spread = 0, before = 0;
  for (std::size_t n = 0; n < 80; ++n) {
    for (std::size_t a = 0; a < 2; ++a) {
      const double place = map["places"][2][n][a];
      CHECK_THAT(place, WithinAbs(double(places(n, a)), 1e-3));
      spread += std::abs(place);
      before += std::abs(map["places"][0][n][a].get<double>());
    }
  }
  CHECK(before < spread / 10);
  check_refused(run(GRADWALK_WORD2VEC, folder, "--see " + quoted(folder / "see.txt")),
                "--see: must end in .html");
  check_error(run(GRADWALK_WORD2VEC, folder, "--report " + quoted(page) + " --see " + quoted(page)),
              "word2vec", "see.html: is named by --report and by --see");
}
#endif
