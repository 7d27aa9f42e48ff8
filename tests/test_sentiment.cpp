// The sentiment program as its users meet it: command lines in, text and exit codes out; and its
// models.
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "examples/sentiment/model.hpp"
#include "layers/files/safetensors.hpp"
#include "tests/catch.hpp"
#include "tests/programs.hpp"

#ifdef GRADWALK_SENTIMENT
namespace {

namespace fs = std::filesystem;
using namespace programs;

Result run(const Folder& folder, const std::string& arguments, const std::string& input = "") {
  return programs::run(GRADWALK_SENTIMENT, folder, arguments, input);
}

std::string last_line(std::string text) {
  REQUIRE(!text.empty());
  REQUIRE(text.back() == '\n');
  text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

// 60 sentences of two classes, told apart by one word.
std::string tiny_data() {
  std::string lines;
  for (int i = 0; i < 60; ++i) {
    const std::string filler = i % 3 == 0 ? "film" : i % 3 == 1 ? "story here" : "old play of them";
    lines += std::to_string(i % 2) + "\ta " + (i % 2 ? "good " : "bad ") + filler + " .\n";
  }
  return lines;
}

std::string tiny_train(const Folder& folder, const std::string& more) {
  write(folder / "train.tsv", tiny_data());
  return "train --train " + quoted(folder / "train.tsv") + " --dev " +
         quoted(folder / "train.tsv") + " --embedding-dim 8 --batch 8 --lr 0.03 " +
         (more.find("bag") == std::string::npos ? "--hidden 8 " : "") + more;
}

void check_error(const Result& result, const std::string& text) {
  programs::check_error(result, "sentiment", text);
}

}  // namespace

TEST_CASE("sentiment: trains, evaluates and predicts", "[sentiment]") {
  const Folder folder;
  const std::string model = folder / "model.safetensors", report = folder / "report.json";
  const std::string kind = GENERATE("lstm", "gru", "cnn", "bag");
  const Result trained =
      run(folder, tiny_train(folder, "--epochs 8 --model " + kind + " --save " + quoted(model) +
                                         " --report " + quoted(report) + " --test " +
                                         quoted(folder / "train.tsv")));
  INFO(trained.out << trained.err);
  REQUIRE(trained.code == 0);
  CHECK_THAT(trained.out, ContainsText("epoch 8  loss "));
  CHECK_THAT(trained.out, ContainsText("best: epoch "));
  CHECK(trained.err.empty());
  CHECK(last_line(trained.out) == "accuracy 1.0000 (60/60)");

  const auto json = nlohmann::json::parse(read(report));
  CHECK(json["config"]["model"] == kind);
  CHECK(json["epochs"].size() == 8);
  CHECK(json["best_dev"] == 1.0);
  CHECK(json["test"] == 1.0);

  const Result evaluated =
      run(folder, "evaluate --model " + quoted(model) + " --data " + quoted(folder / "train.tsv"));
  CHECK(evaluated.code == 0);
  CHECK_THAT(evaluated.out, ContainsText("    1     1.0000  1.0000         30\n"));
  CHECK(last_line(evaluated.out) == "accuracy 1.0000 (60/60)");
  CHECK(last_line(run(folder, "evaluate --model " + quoted(model)).out).find("/500)") !=
        std::string::npos);

  const Result predicted =
      run(folder, "predict --model " + quoted(model) + " 'A GOOD film.' 'a bad story here!' ''");
  CHECK(predicted.code == 0);
  CHECK_THAT(predicted.out, ContainsText("  A GOOD film.\n0  "));
  CHECK(predicted.out.substr(0, 3) == "1  ");
  CHECK(std::count(predicted.out.begin(), predicted.out.end(), '\n') == 3);
  const Result lines = run(folder, "predict --model " + quoted(model), "a good film\r\na bad film");
  CHECK(lines.code == 0);
  CHECK(std::count(lines.out.begin(), lines.out.end(), '\n') == 2);
  check_error(run(folder, "predict --model " + quoted(model), "ok\n\xFF\n"),
              "input:2: is not UTF-8");
  CHECK(run(folder, "predict --model " + quoted(model),
            "\xEF\xBB\xBF"
            "a good film")
            .out == run(folder, "predict --model " + quoted(model), "a good film").out);
  CHECK_THAT(run(folder, "predict --model " + quoted(model), std::string("a \0\x1B film", 9)).out,
             ContainsText("  a \\x00\\x1B film\n"));
  const std::string page = folder / "page.html", see = "see --model " + quoted(model) + " --page ";
  const Result seen = run(folder, see + quoted(page) + " 'A GOOD film.'");
  CHECK(seen.code == 0);
  CHECK_THAT(seen.out, ContainsText("  A GOOD film.\npage: " + page + "\n"));
  CHECK(seen.out.substr(0, 9) == predicted.out.substr(0, 9));
  CHECK_THAT(read(page), ContainsText(R"("words":["a","good","film","."])"));
  check_error(run(folder, see + quoted(page) + " '\xFF'"), "TEXT: is not UTF-8");
  check_error(run(folder, see + quoted(model) + " ok"), "is named by --model and by --page");
  for (const char* from : {"< /", "<&-"}) {
    check_error(run_with(GRADWALK_SENTIMENT, folder, "predict --model " + quoted(model), from),
                "standard input: cannot be read");
  }
}

TEST_CASE("sentiment: a profile of the training", "[sentiment]") {
  const Folder folder;
  const std::string profile = folder / "profile.json";
  const Result trained = run(folder, tiny_train(folder, "--epochs 1 --profile " + quoted(profile)));
  CHECK(trained.code == 0);
  CHECK_THAT(trained.out, ContainsText("\nlstm   ") && ContainsText("\n(optimizer)  "));
  CHECK(nlohmann::json::parse(read(profile))["traceEvents"].size() > 100);
  check_error(run(folder, tiny_train(folder, "--profile " + quoted(folder / "no" + "/p"))),
              "no/p: cannot be written");
}

TEST_CASE("sentiment: the same seed gives the same bytes", "[sentiment]") {
  const Folder folder;
  const auto model = [&](const std::string& seed, const std::string& name) {
    const Result result = run(folder, tiny_train(folder, "--epochs 2 --seed " + seed + " --save " +
                                                             quoted(folder / name)));
    REQUIRE(result.code == 0);
    return read(folder / name);
  };
  const std::string first = model("5", "a");
  CHECK(first == model("5", "b"));
  CHECK(first != model("6", "c"));
}

TEST_CASE("sentiment: odd but honest files are read", "[sentiment]") {
  const Folder folder;
  std::string huge = "2\t";
  for (int i = 0; i < 100000; ++i) huge += "word ";
  write(folder / "odd.tsv",
        "\xEF\xBB\xBF"
        "0\ta bad film\r\n\r\n   \n1\tgood\xC2\x85good \xE2\x80\xA8 one\n"
        "0\t\n1\tgood\ttabs too\n" +
            huge);
  const std::string odd = quoted(folder / "odd.tsv");
  const Result result = run(folder, "train --train " + odd + " --dev " + odd +
                                        " --embedding-dim 4 --hidden 4 --epochs 1 --min-count 1");
  INFO(result.err);
  CHECK(result.code == 0);
  // <pad> <unk> a bad film good one tabs too word
  CHECK_THAT(result.out, ContainsText("5 train and 5 dev sentences, 3 classes, 10 words"));
}

TEST_CASE("sentiment: a bad file is one clear error", "[sentiment]") {
  const Folder folder;
  const std::string path = folder / "bad.tsv";
  const auto train_on = [&](const std::string& bytes) {
    write(path, bytes);
    return run(folder, "train --epochs 1 --train " + quoted(path) + " --dev " + quoted(path));
  };
  check_error(train_on("0\ta\n1\tb\nno tab\n"), path + ":3: has no tab; a line is label<TAB>text");
  check_error(train_on("0\ta\n-1\tb\n"),
              path + ":2: label '-1' is not a whole number from 0 to 999");
  check_error(train_on("0\ta\n1000000000\tb\n"), path + ":2: label '1000000000' is not");
  check_error(train_on("0\ta\n1\t\xC0\x80\n"), path + ":2: is not UTF-8");
  check_error(train_on("\n0\ta\n1\t\xED\xA0\x80\n"), path + ":3: is not UTF-8");
  check_error(train_on(""), path + ": has no label<TAB>text lines");
  check_error(train_on("1\ta\n1\tb\n"), path + ": all labels are 1; training needs two classes");
  check_error(train_on("0\ta\n5\tb\n"), path + ":2: label 5 is here but label 1 nowhere");

  const std::string missing = folder / "missing";
  check_error(run(folder, "train --train " + quoted(missing) + " --dev " + quoted(missing)),
              missing + ": cannot be opened for reading");
  const std::string here = fs::path(path).parent_path().string();
  check_error(run(folder, "train --train " + quoted(here) + " --dev " + quoted(here)),
              here + ": is a directory, not a file");
  write(path, "0\ta\n2\tb\n");
  check_error(run(folder, tiny_train(folder, "--test " + quoted(path))),
              path + ":2: label 2 does not occur in training, which has 0 to 1");
  check_error(run(folder, "train --save " + quoted(missing + "/model")),
              missing + "/model: cannot be written");
  CHECK(run(folder, "train --epochs none").code != 0);
  CHECK(run(folder, "train --seed -1").code != 0);
  check_refused(run(folder, "train --lr nan"),
                "--lr: must be greater than 0 and at most 10, got nan");
  check_refused(run(folder, "train --dropout nan"), "--dropout: must be from 0 to 0.99, got nan");
  check_refused(run(folder, "train --save ''"), "--save: must not be empty");
  check_refused(run(folder, "evaluate --model x --logits ''"), "--logits: must not be empty");
  check_error(run(folder, "train --train /dev/zero --dev /dev/zero"),
              "/dev/zero: must be a file or a pipe, not a device");
  CHECK(run(folder, "").code != 0);
  CHECK(run(folder, "predict --help").code == 0);
}

TEST_CASE("sentiment: word vectors", "[sentiment]") {
  const Folder folder;
  const std::string path = folder / "vectors.txt";
  const auto train_with = [&](const std::string& bytes, const std::string& more = "") {
    write(path, bytes);
    write(folder / "train.tsv", tiny_data());
    return run(folder, "train --epochs 1 --hidden 4 --train " + quoted(folder / "train.tsv") +
                           " --dev " + quoted(folder / "train.tsv") + " --vectors " + quoted(path) +
                           " " + more);
  };
  const Result glove = train_with("good 1 0 0\nbad -1 0 0\nunseen 0 1 0\n");
  CHECK(glove.code == 0);
  CHECK_THAT(glove.out,
             ContainsText("vectors: GloVe text, 2 of 11 words found, other rows drawn from N(0, "));
  CHECK(train_with("2 3\ngood 1 0 0 \nbad -1 0 0 \n").code == 0);
  check_error(train_with("good 1 0 0\nbad -1 0\n"),
              path + ":2: holds 2 numbers after the word, not 3");
  check_error(train_with("good 1 0 0\nbad -1 0 0 4\n"), path + ":2: holds more than 3 numbers");
  check_error(train_with("good 1 0 0\nbad -1 x 0\n"), path + ":2: 'x' is not a finite number");
  check_error(train_with("good 1 nan 0\n"), path + ":1: 'nan' is not a finite number");
  check_error(train_with("2 3\ngood 1 0 0.000\n"),
              path + ":1: announces 2 vectors, the file holds 1");
  std::string binary = "1 1\ngood ";
  const float number = 0.5;
  binary.append(reinterpret_cast<const char*>(&number), sizeof(number));
  CHECK_THAT(train_with(binary).out, ContainsText("vectors: word2vec binary, 1 of 11 words found"));
  // a word that is no UTF-8 could not be written into a model
  CHECK(train_with("good 1 0 0\nb\xFF 1 0 0\n", "--save " + quoted(folder / "model")).code == 0);
  check_error(train_with("good 1 0 0\n", "--embedding-dim 50"),
              path + ": holds vectors of 3 numbers");
  check_error(train_with(""), path + ": holds no word vectors");
}

TEST_CASE("sentiment: no file is input and output, and lost output is a failure", "[sentiment]") {
  const Folder folder;
  const std::string data = folder / "train.tsv", model = folder / "model";
  const std::string train = tiny_train(folder, "--epochs 1 ");
  check_error(run(folder, train + "--save " + quoted(data)),
              data + ": is named by --train and by --save");
  check_error(
      run(folder, train + "--save " + quoted(model) + " --report " + quoted(folder / "./model")),
      "model: is named by --save and by --report");
  CHECK(read(data) == tiny_data());
  if (fs::exists("/dev/full")) {
    const std::string command =
        quoted(GRADWALK_SENTIMENT) + " " + train + "> /dev/full 2> " + quoted(folder / "stderr");
    CHECK(WEXITSTATUS(std::system(command.c_str())) == 1);
    CHECK(read(folder / "stderr") == "sentiment: standard output: cannot be written\n");
  }
}

TEST_CASE("sentiment: how the embedding is trained", "[sentiment]") {
  const Folder folder;
  const std::string path = folder / "model";
  const auto train = [&](const std::string& options, const std::string& epochs = "2") {
    const Result result = run(folder, tiny_train(folder, "--save " + quoted(path) + " --epochs " +
                                                             epochs + " " + options));
    INFO(result.out << result.err);
    REQUIRE(result.code == 0);
    return result.out;
  };
  const auto embedding = [&] {
    return gradwalk::load_safetensors(path).tensors.at("embedding.weight");
  };
  train("--freeze", "1");
  const gradwalk::Array start = embedding();
  train("--freeze");
  CHECK((embedding() == start));
  train("");
  CHECK((embedding() != start));
  // Zeros written out are what a dense gradient holds.
  train("--policy densify");
  const gradwalk::Array densified = embedding();
  train("--dense");
  CHECK((embedding() == densified));
  train("--policy exact");
  const gradwalk::Array exact = embedding();
  for (std::size_t i = 0; i < exact.size(); ++i)
    CHECK_THAT(exact.data()[i], WithinAbs(densified.data()[i], 1e-4));
  for (const std::string optimizer : {"sgd", "adamw", "adagrad", "rmsprop"}) {
    train("--optimizer " + optimizer);
    CHECK((embedding() != start));
  }

  CHECK_THAT(train("--verbose --model bag"),
             ContainsText("the embedding's gradient in the last batch: ") &&
                 ContainsText(" repeated; ") &&
                 ContainsText("rows moved without a gradient in this epoch: 0\n"));
  CHECK_THAT(train("--verbose --dense"), ContainsText("last batch: dense, 13 rows"));
  CHECK(train("--verbose --policy densify").find("in this epoch: 0\n") == std::string::npos);
  CHECK(run(folder, "predict --model " + quoted(path) + " 'a good film .'").code == 0);
  CHECK_THAT(run(folder, "train --policy sloppy").err, ContainsText("sloppy not in {"));
}

TEST_CASE("sentiment: a file that is no model is refused", "[sentiment]") {
  const Folder folder;
  const std::string model = folder / "model", bad = folder / "bad";
  REQUIRE(run(folder, tiny_train(folder, "--epochs 1 --save " + quoted(model))).code == 0);
  const std::string bytes = read(model);
  const auto predict_with = [&] {
    return run(folder, "predict --model " + quoted(bad) + " hello");
  };
  for (std::size_t length : {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{100},
                             bytes.size() / 2, bytes.size() - 1}) {
    write(bad, bytes.substr(0, length));
    check_error(predict_with(), bad);
  }
  write(bad, tiny_data());
  check_error(predict_with(), bad);

  const gradwalk::Checkpoint good = gradwalk::load_safetensors(model);
  const auto predict_changed = [&](const std::string& key, const std::string& value) {
    gradwalk::Metadata metadata = good.metadata;
    metadata[key] = value;
    gradwalk::StateDict state;
    for (const auto& [name, array] : good.tensors)
      state.emplace_back(name, gradwalk::Tensor(array));
    gradwalk::save_safetensors(bad, state, metadata);
    return predict_with();
  };
  check_error(predict_changed("format", "pt"), bad + ": is not a model of this program");
  check_error(
      predict_changed("vocabulary", "[\"<pad>\", \"<unk>\"]"),
      bad + ": a model of its configuration and vocabulary has 610 weights, the file holds ");
  check_error(predict_changed("vocabulary", "[1, 2]"), bad + ": vocabulary is not a list of texts");
  check_error(predict_changed("vocabulary", "[\"<pad>\", \"<unk>\", \"a\", \"a\"]"), "'a' twice");
  check_error(predict_changed("config", "{}"), bad + ": ");
  const auto config = [&](const char* key, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(good.metadata.at("config"));
    json[key] = value;
    return json.dump();
  };
  check_error(predict_changed("config", config("hidden", 1000000)), bad + ": hidden is not");
  check_error(predict_changed("config", config("hidden", -8)), bad + ": hidden is not");
  const std::string has = bad + ": a model of its configuration and vocabulary has ";
  check_error(predict_changed("config", config("hidden", 16)), has);
  check_error(predict_changed("config", config("hidden", 65536)), has);
  check_error(predict_changed("config", config("layers", 64)), has);
  check_error(predict_changed("config", config("layers", 0)),
              bad + ": layers is not a number from 1 to 64");
  check_error(predict_changed("config", config("bidirectional", true)), has);
  check_error(predict_changed("config", config("bidirectional", 1)),
              bad + ": bidirectional is neither true nor false");
  check_error(predict_changed("config", config("model", "gru")), has);
  check_error(predict_changed("config", config("model", "cnn")), has);
  check_error(predict_changed("config", config("model", "tree")),
              bad + ": model is 'tree', which this program does not know");
  check_error(predict_changed("config", config("pool", "min")),
              bad + ": pool is 'min', which this program does not know");
  check_error(predict_changed("config", "[]"), bad + ": its configuration must be an object");
  check_error(predict_changed("config", config("num_classes", 3)), bad + ": ");

  // all numbers finite, what is made of them not
  gradwalk::StateDict huge;
  for (const auto& [name, array] : good.tensors) {
    const auto most = std::numeric_limits<gradwalk::Real>::max();
    huge.emplace_back(name, gradwalk::Tensor(gradwalk::full(array.shape(), most)));
  }
  gradwalk::save_safetensors(bad, huge, good.metadata);
  const std::string overflow = bad + ": the model's weights are so large that its numbers overflow";
  check_error(predict_with(), overflow);
  check_error(
      run(folder, "evaluate --model " + quoted(bad) + " --logits " + quoted(folder / "logits")),
      overflow);
  CHECK_FALSE(fs::exists(folder / "logits"));

  // as many weights as there should be, but not where they should be
  gradwalk::StateDict moved;
  for (const auto& [name, array] : good.tensors) {
    gradwalk::Tensor tensor(array);
    moved.emplace_back(name, name == "linear.weight" ? transpose(tensor) : tensor);
  }
  gradwalk::save_safetensors(bad, moved, good.metadata);
  check_error(predict_with(), "'linear.weight' must be [2, 8], got [8, 2]");

  // a file from before there were layers, directions and pooling
  auto older = nlohmann::json::parse(good.metadata.at("config"));
  for (const char* key : {"layers", "bidirectional", "pool"}) older.erase(key);
  CHECK(predict_changed("config", older.dump()).code == 0);
}

TEST_CASE("sentiment: options that a model has no use for are refused", "[sentiment]") {
  const Folder folder;
  const auto refused = [&](const std::string& options, const std::string& text) {
    check_error(run(folder, "train " + options), text);
  };
  refused("--model bag --layers 2", "--layers is for lstm and gru, got --model bag");
  refused("--bidirectional --model cnn", "--bidirectional is for lstm and gru, got --model cnn");
  refused("--model bag --hidden 5", "--hidden is for lstm, gru and cnn, got --model bag");
  refused("--model cnn --pool max", "--pool is for lstm and gru, got --model cnn");
  CHECK(run(folder, "train --model tree").code != 0);
  CHECK(run(folder, "train --layers 0").code != 0);
  CHECK(run(folder, "train --pool min").code != 0);
}

namespace {

// A model of each kind and most of what can be combined, 10 words, ready to evaluate.
std::vector<ModelConfig> model_configs() {
  std::vector<ModelConfig> configs;
  const auto add = [&](const char* kind, std::size_t layers, bool bidirectional, const char* pool) {
    ModelConfig config;
    config.kind = kind;
    config.embedding_dim = 3;
    config.hidden = 4;
    config.layers = layers;
    config.bidirectional = bidirectional;
    config.pool = pool;
    configs.push_back(config);
  };
  add("lstm", 1, false, "last");
  add("lstm", 2, true, "last");
  add("lstm", 1, true, "last");
  add("lstm", 1, true, "max");
  add("lstm", 1, false, "mean");
  add("gru", 2, true, "mean");
  add("gru", 1, true, "last");
  add("cnn", 1, false, "last");
  add("bag", 1, false, "last");
  return configs;
}

Vocabulary ten_words() {
  Vocabulary vocabulary;
  for (const char* word : {"a", "b", "c", "d", "e", "f", "g", "h"}) vocabulary.add(word);
  return vocabulary;
}

struct ReadyModel {
  gradwalk::Generator generator{7};
  SentimentModel model;
  explicit ReadyModel(const ModelConfig& config) : model(config, 10, generator) {
    gradwalk::Tensor table = model.table();
    for (gradwalk::Real& w : table.mutable_value()) w *= 10;  // N(0, 1): gates that do something
    model.eval();
  }
};

std::vector<double> logits_of(const SentimentModel& model, const Batch& batch) {
  const gradwalk::Array logits = model(batch).value();
  return {logits.begin(), logits.end()};
}

Batch batch_of(const std::vector<std::vector<std::int64_t>>& sentences) {
  std::vector<Sentence> labelled;
  for (const auto& ids : sentences) labelled.push_back({ids, 0});
  return make_batches(labelled, labelled.size())[0];
}

constexpr double kTolerance = sizeof(gradwalk::Real) == 4 ? 1e-5 : 1e-12;

std::string names_of(const ModelConfig& config) {
  std::string names;
  for (const auto& [name, tensor] : ReadyModel(config).model.state_dict())
    names += gradwalk::message(name, ' ', tensor.shape(), '\n');
  return names;
}

}  // namespace

TEST_CASE("sentiment: weights are named and shaped as PyTorch's", "[sentiment]") {
  ModelConfig config = model_configs()[1];
  config.layers = 1;
  CHECK(names_of(config) ==
        "embedding.weight [10, 3]\n"
        "lstm.weight_ih_l0 [16, 3]\nlstm.weight_hh_l0 [16, 4]\n"
        "lstm.bias_ih_l0 [16]\nlstm.bias_hh_l0 [16]\n"
        "lstm.weight_ih_l0_reverse [16, 3]\nlstm.weight_hh_l0_reverse [16, 4]\n"
        "lstm.bias_ih_l0_reverse [16]\nlstm.bias_hh_l0_reverse [16]\n"
        "linear.weight [2, 8]\nlinear.bias [2]\n");
  config.kind = "cnn";
  CHECK(names_of(config) ==
        "embedding.weight [10, 3]\n"
        "convs.0.weight [4, 3, 3]\nconvs.0.bias [4]\nconvs.1.weight [4, 3, 4]\nconvs.1.bias [4]\n"
        "convs.2.weight [4, 3, 5]\nconvs.2.bias [4]\nlinear.weight [2, 12]\nlinear.bias [2]\n");
  config.kind = "gru";
  config.layers = 2;
  CHECK_THAT(names_of(config), ContainsText("gru.weight_ih_l1_reverse [12, 8]\n"));
}

TEST_CASE("sentiment: a sentence's logits do not depend on its batch", "[sentiment]") {
  const std::vector<std::vector<std::int64_t>> sentences{
      {3, 4, 9, 2, 5, 6, 7, 8}, {2, 9, 1, 5, 3, 3}, {6, 2}, {4}};  // the longest first
  for (const ModelConfig& config : model_configs()) {
    INFO(config.kind << ' ' << config.layers << ' ' << config.pool);
    const ReadyModel ready(config);
    const std::vector<double> together = logits_of(ready.model, batch_of(sentences));
    for (std::size_t n = 0; n < sentences.size(); ++n) {
      const std::vector<double> alone = logits_of(ready.model, batch_of({sentences[n]}));
      for (std::size_t c = 0; c < 2; ++c)
        CHECK_THAT(together[2 * n + c], WithinAbs(alone[c], kTolerance));
    }
    CHECK(std::abs(together[0] - together[2]) > 1e-3);
  }
}

TEST_CASE("sentiment: features are what the kind and the pooling say", "[sentiment]") {
  using namespace gradwalk;
  const std::vector<std::int64_t> ids{3, 4, 9, 2, 5, 6};
  for (const ModelConfig& config : model_configs()) {
    if (config.layers > 1 || config.kind == "bag") continue;
    INFO(config.kind << ' ' << config.pool);
    const ReadyModel ready(config);
    std::map<std::string, Tensor> weights;
    for (const auto& [name, tensor] : ready.model.state_dict()) weights.emplace(name, tensor);
    Indices column = empty<Indices>({ids.size(), 1});
    std::copy(ids.begin(), ids.end(), column.data());
    const Tensor x = gather_rows(ready.model.table(), column);  // [T, 1, D]

    Tensor features;
    if (config.kind == "cnn") {
      Tensors parts;
      for (std::size_t i = 0; i < 3; ++i) {
        const std::string conv = "convs." + std::to_string(i);
        for (Real& b : weights.at(conv + ".bias").mutable_value()) b -= 1;  // work for relu
        const Tensor y = conv1d(permute(x, {1, 2, 0}), weights.at(conv + ".weight"),
                                weights.at(conv + ".bias"), 1, i + 2);
        parts.push_back(max(relu(y), {2}));
      }
      features = concat(parts, 1);
    } else {
      const auto run_direction = [&](const std::string& suffix) {
        const auto weight = [&](const std::string& name) {
          return weights.at(config.kind + '.' + name + "_l0" + suffix);
        };
        const RecurrentParameters p{
            weight("weight_ih"), weight("weight_hh"), weight("bias_ih"), weight("bias_hh"), {}};
        const Tensor way = suffix.empty() ? x : reverse_sequences(x);
        const auto gru = [&p](const Tensor& x_t, const Tensors& state) -> Tensors {
          return {gru_cell(x_t, state[0], p)};
        };
        return config.kind == "lstm" ? lstm_composed(way, {p}).output
                                     : unroll({gru}, way, {Tensor()}).output;
      };
      Tensors parts;
      for (const char* suffix : {"", "_reverse"}) {
        if (*suffix != 0 && !config.bidirectional) continue;
        const Tensor h = run_direction(suffix);  // [T, 1, H], in the order of reading
        parts.push_back(config.pool == "last"   ? reshape(slice(h, 0, 5, 6), {1, 4})
                        : config.pool == "mean" ? mean(h, {0})
                                                : max(h, {0}));
      }
      features = concat(parts, 1);
    }
    const Array expected =
        linear(features, weights.at("linear.weight"), weights.at("linear.bias")).value();
    const std::vector<double> logits = logits_of(ready.model, batch_of({ids}));
    for (std::size_t c = 0; c < 2; ++c)
      CHECK_THAT(logits[c], WithinAbs(expected.data()[c], kTolerance));
  }
}

TEST_CASE("sentiment: a saved model is the same model", "[sentiment]") {
  const Folder folder;
  for (const ModelConfig& config : model_configs()) {
    INFO(config.kind << ' ' << config.layers << ' ' << config.pool);
    const ReadyModel ready(config);
    const std::string path = folder / "model";
    save_classifier(path, config, ten_words(), ready.model);
    gradwalk::Generator generator;
    const Classifier loaded = load_classifier(path, generator);
    const Batch batch = batch_of({{3, 4, 9, 2, 5, 6}, {2, 9, 1}});
    CHECK(logits_of(*loaded.model, batch) == logits_of(ready.model, batch));
    CHECK(loaded.config.layers == config.layers);
    CHECK(loaded.config.bidirectional == config.bidirectional);
    CHECK(loaded.config.pool == config.pool);
  }
}

TEST_CASE("sentiment: pushes are derivatives", "[sentiment]") {
  const std::vector<std::int64_t> ids{3, 4, 9, 2, 5, 6};  // each word once
  for (const ModelConfig& config : model_configs()) {
    INFO(config.kind << ' ' << config.layers << ' ' << config.pool);
    const ReadyModel ready(config);
    const SentimentModel::Decision decision = ready.model.explain(ids);
    REQUIRE(decision.pushes.size() == ids.size());
    // the chosen logit - the mean logit when the vector of ids[t] is longer by `share`
    const auto score = [&](std::size_t t, double share) {
      gradwalk::Tensor table = ready.model.table();
      const gradwalk::Array before = table.value();
      for (std::size_t d = 0; d < 3; ++d)
        table.mutable_value()(ids[t], d) *= static_cast<gradwalk::Real>(1 + share);
      const std::vector<double> logits = logits_of(ready.model, batch_of({ids}));
      table.mutable_value() = before;
      return logits[decision.label] - (logits[0] + logits[1]) / 2;
    };
    const double step = sizeof(gradwalk::Real) == 4 ? 1e-3 : 1e-6;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      CHECK_THAT(decision.pushes[t], WithinAbs((score(t, step) - score(t, -step)) / (2 * step),
                                               sizeof(gradwalk::Real) == 4 ? 1e-3 : 1e-8));
    }
  }
}

TEST_CASE("sentiment: Ctrl-C saves the best model so far", "[sentiment]") {
  const Folder folder;
  const std::string model = folder / "model", data = folder / "train.tsv";
  write(data, tiny_data());
  const Result result = interrupt(
      GRADWALK_SENTIMENT, folder,
      {"train", "--train", data, "--dev", data, "--epochs", "100000", "--save", model}, "epoch 2");
  CHECK(result.code == 130);
  CHECK_THAT(result.err, ContainsText("stopped by Ctrl-C; the best model so far is in " + model));
  CHECK(run(folder, "predict --model " + quoted(model) + " 'a good film .'").code == 0);
  check_first_epoch_is_not_saved(GRADWALK_SENTIMENT, "sentiment", folder,
                                 {"train", "--save", model}, model, " sentences, ");
}

TEST_CASE("sentiment: order decides on the built-in corpus", "[sentiment]") {
#ifdef GRADWALK_SANITIZE
  WARN("skipped: too slow under the sanitizers");
#else
  const Folder folder;
  const auto accuracy = [&](const std::string& kind) {
    const Result result = run(folder, "train --model " + kind);
    REQUIRE(result.code == 0);
    return std::stod(last_line(result.out).substr(9));
  };
  const double lstm = accuracy("lstm");
  CHECK(lstm >= 0.97);
  CHECK(accuracy("bag") <= lstm - 0.25);
#endif
}

TEST_CASE("sentiment: movie reviews and GloVe are read", "[sentiment]") {
  const std::string shared = GRADWALK_SHARED_DIR "/data/";
  if (!fs::exists(shared + "mr/train.tsv")) {
    WARN("skipped: there is no " << shared);
    return;
  }
  const Folder folder;
  const Result result =
      run(folder, "train --model bag --epochs 1 --train " + quoted(shared + "mr/train.tsv") +
                      " --dev " + quoted(shared + "mr/dev.tsv") + " --vectors " +
                      quoted(shared + "vectors/glove.6B.100d.mr_vocab.txt"));
  INFO(result.err);
  REQUIRE(result.code == 0);
  CHECK_THAT(result.out, ContainsText("8,528 train and 1,066 dev sentences, 2 classes"));
}

#endif
