// The character language model: its parts, and the program as its users meet it.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/text.hpp"
#include "layers/files/safetensors.hpp"
#include "tests/catch.hpp"
#include "tests/programs.hpp"

#ifdef GRADWALK_CHAR_LM
#include "examples/char_lm/train.hpp"
#include "examples/text.hpp"

namespace {

using namespace char_lm;
using namespace programs;
using gradwalk::Array;
using gradwalk::Generator;
using gradwalk::Indices;

Result run(const Folder& folder, const std::string& arguments) {
  return programs::run(GRADWALK_CHAR_LM, folder, arguments);
}

void check_error(const Result& result, const std::string& text) {
  programs::check_error(result, "char_lm", text);
}

// 1,220 characters: two lines in turn, after two characters that are seen once.
std::string tiny_text() {
  std::string text = "\xC3\xA9$";
  for (int i = 0; i < 84; ++i) text += i % 2 ? "the dog barks,\n" : "a cat sleeps.\n";
  return text;
}

std::string tiny_train(const Folder& folder, const std::string& more) {
  write(folder / "text", tiny_text());
  return "train " + quoted(folder / "text") + " --dim 8 --hidden 16 --length 32 " + more;
}

// The number after the last `key`.
double number_after(const std::string& text, const std::string& key) {
  const std::size_t at = text.rfind(key);
  REQUIRE(at != std::string::npos);
  return std::stod(text.substr(at + key.size()));
}

}  // namespace

TEST_CASE("char_lm: characters are code points, and rare ones are unknown", "[char_lm]") {
  const std::string text = "aé€😀aé\nb";
  const std::vector<std::string_view> each = characters(text);
  CHECK(each == std::vector<std::string_view>{"a", "é", "€", "😀", "a", "é", "\n", "b"});
  CHECK(characters("").empty());
  const Alphabet alphabet(each);
  CHECK(alphabet.characters() == std::vector<std::string>{"<unk>", "a", "é"});
  CHECK(alphabet.encode(each) == std::vector<std::int64_t>{1, 2, 0, 0, 1, 2, 0, 0});
}

TEST_CASE("char_lm: chunks read the columns of a text side by side", "[char_lm]") {
  std::vector<std::int64_t> text(2 * kShortestColumn + 2);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::int64_t>(i);
  const std::vector<Chunk> chunks = make_chunks(text, 8, 300);
  const auto steps = static_cast<std::int64_t>(kShortestColumn);
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0].ids.shape() == gradwalk::Shape{300, 2});
  CHECK(chunks[1].ids.shape() == gradwalk::Shape{200, 2});
  std::int64_t t = 0;
  for (const Chunk& chunk : chunks) {
    for (std::size_t i = 0; i < chunk.ids.size(); i += 2, ++t) {
      REQUIRE(chunk.ids.data()[i] == t);
      REQUIRE(chunk.ids.data()[i + 1] == steps + t);
      REQUIRE(chunk.targets.data()[i] == t + 1);
      REQUIRE(chunk.targets.data()[i + 1] == steps + t + 1);
    }
  }
  CHECK(make_chunks(text, 1, 300)[0].ids.shape()[1] == 1);
  CHECK(make_chunks({4, 5}, 8, 300)[0].targets(0) == 5);
}

TEST_CASE("char_lm: state carried over chunks makes them one sequence", "[char_lm]") {
  Generator generator(3);
  CharModel model({4, 6, 2, 0.5}, 5, generator);
  model.eval();
  Indices ids = gradwalk::empty<Indices>({9, 2});
  for (std::size_t i = 0; i < ids.size(); ++i) ids.data()[i] = static_cast<std::int64_t>(i * i % 5);
  State whole, carried;
  const Array expected = model(ids, whole).value();
  std::size_t at = 0;
  for (std::size_t T : {4, 1, 4}) {
    Indices chunk = gradwalk::empty<Indices>({T, 2});
    std::copy_n(ids.data() + 2 * at, chunk.size(), chunk.data());
    const Array logits = model(chunk, carried).value();
    for (std::size_t i = 0; i < logits.size(); ++i)
      CHECK_THAT(logits.data()[i], WithinAbs(expected.data()[2 * at * 5 + i], 1e-6));
    CHECK_FALSE(carried.h.requires_grad());
    at += T;
  }
  for (std::size_t i = 0; i < whole.c.size(); ++i)
    CHECK_THAT(carried.c.value().data()[i], WithinAbs(whole.c.value().data()[i], 1e-6));
}

TEST_CASE("char_lm: perplexity of models whose answer is known", "[char_lm]") {
  const std::vector<Chunk> chunks = make_chunks({1, 1, 2, 1}, 1, 2);
  // (2 + 1) / 6, (1 + 1) / 6 and, of what was never seen, 1 / 6
  CHECK_THAT(unigram_perplexity({1, 1, 2}, 3, chunks), WithinRel(std::cbrt(2. * 3. * 2.), 1e-12));
  CHECK_THAT(unigram_perplexity({1, 1, 1}, 3, chunks), WithinRel(std::cbrt(1.5 * 6. * 1.5), 1e-12));
  Generator generator(1);
  CharModel model({4, 6, 1, 0.5}, 3, generator);
  std::map<std::string, Array> zeros;
  for (const auto& [name, tensor] : model.state_dict())
    zeros[name] = gradwalk::full(tensor.shape(), 0);
  model.load_state_dict(zeros);
  CHECK_THAT(perplexity(model, chunks), WithinRel(3, 1e-6));
}

TEST_CASE("char_lm: draws follow the distribution", "[char_lm]") {
  const Array logits{{9, 0, 2, 1}};
  for (const double temperature : {0.5, 1., 2.}) {
    constexpr int kDraws = 20000;
    Generator generator(7);
    std::vector<double> seen(4, 0), p(4, 0);
    for (int i = 0; i < kDraws; ++i)
      ++seen[static_cast<std::size_t>(draw(logits, temperature, generator))];
    CHECK(seen[Alphabet::kUnknown] == 0);
    double sum = 0, chi_square = 0;
    for (std::size_t k = 1; k < 4; ++k) sum += p[k] = std::exp(double(logits(0, k)) / temperature);
    for (std::size_t k = 1; k < 4; ++k) {
      const double expected = kDraws * p[k] / sum;
      chi_square += (seen[k] - expected) * (seen[k] - expected) / expected;
    }
    CHECK(chi_square < 13.8);  // 99.9 % of the time, with two degrees of freedom
  }
  Generator generator(7);
  CHECK(draw(logits, 0, generator) == 2);
  CHECK(draw(logits, 1e-300, generator) == 2);
  CHECK(generator.next() != Generator(7).next());
  const Array no_numbers = gradwalk::full({1, 4}, static_cast<gradwalk::Real>(NAN));
  const std::int64_t any = draw(no_numbers, 1, generator);
  CHECK((any >= 1 && any < 4));
}

TEST_CASE("char_lm: perplexity falls, and the file writes what the model wrote", "[char_lm]") {
  const Folder folder;
  const std::string model = folder / "model";
  const Result trained =
      run(folder,
          tiny_train(folder, "--epochs 12 --dropout 0 --lr 0.03 --seed 5 --save " + quoted(model)));
  INFO(trained.out << trained.err);
  REQUIRE(trained.code == 0);
  CHECK(trained.err.empty());
  CHECK_THAT(trained.out,
             ContainsText("1,098 characters to train on, 122 held out, 18 different\n"));
  const double unigram = number_after(trained.out, "\nheld-out perplexity ");
  const double first = number_after(trained.out, "\nepoch 1  perplexity ");
  const double last = number_after(trained.out, "\nepoch 12  perplexity ");
  const double best = number_after(trained.out, ", held-out ");
  CHECK(unigram > 10);
  CHECK(last < first / 2);
  CHECK(best < 2);
  CHECK(trained.out.find("<unk>") == std::string::npos);

  const std::string samples = trained.out.substr(trained.out.find("--- temperature 0.5\n"));
  CHECK(
      run(folder, "sample --model " + quoted(model) + " --temperature 0.5 0.8 1.0 --seed 5").out ==
      samples);
  // one temperature does not change what another one writes
  const std::string middle =
      run(folder, "sample --model " + quoted(model) + " --temperature 0.8 --seed 5").out;
  CHECK_THAT(samples, ContainsText(middle));
  CHECK(run(folder, "sample --model " + quoted(model) + " --temperature 0.8 --seed 6").out !=
        middle);

  const auto likeliest = [&](const std::string& more) {
    return run(folder, "sample --model " + quoted(model) +
                           " --temperature 0 --characters 20 --prompt 'a c' " + more)
        .out;
  };
  CHECK(likeliest("--seed 1") == "--- temperature 0\na cat sleeps.\nthe dog b\n");
  CHECK(likeliest("--seed 2") == likeliest("--seed 1"));
}

TEST_CASE("char_lm: the same seed gives the same bytes", "[char_lm]") {
  const Folder folder;
  const auto model = [&](const std::string& seed, const std::string& name) {
    const Result result = run(folder, tiny_train(folder, "--epochs 2 --layers 2 --seed " + seed +
                                                             " --save " + quoted(folder / name)));
    REQUIRE(result.code == 0);
    return read(folder / name);
  };
  const std::string first = model("5", "a");
  CHECK(first == model("5", "b"));
  CHECK(first != model("6", "c"));
}

TEST_CASE("char_lm: bad texts and options are one clear error", "[char_lm]") {
  const Folder folder;
  const std::string path = folder / "bad";
  const auto train_on = [&](const std::string& bytes) {
    write(path, bytes);
    return run(folder, "train --epochs 1 --hidden 4 " + quoted(path));
  };
  check_error(train_on("good\nb\xFF\n"), path + ":2: is not UTF-8");
  check_error(train_on("good\n\ncut \xE2\x82"), path + ":3: is not UTF-8");
  check_error(train_on(""), path + ": has 0 characters; at least 20 are needed");
  check_error(train_on("eighteen letters.."), path + ": has 19 characters");
  check_error(train_on("abcdefghijklmnopqrstuvwxyz"), "in which no character occurs twice");
  CHECK(train_on("nineteen letters...").code == 0);
  const std::string missing = folder / "missing";
  check_error(run(folder, "train " + quoted(missing)), missing + ": cannot be opened for reading");
  check_error(run(folder, "train " + quoted(path) + " --save " + quoted(path)),
              path + ": is named by FILE and by --save");
  check_error(run(folder, "train /dev/zero"), "/dev/zero: must be a file or a pipe, not a device");
  check_refused(run(folder, "train --lr nan"),
                "--lr: must be greater than 0 and at most 10, got nan");
  check_refused(run(folder, "train --save ''"), "--save: must not be empty");
  check_refused(run(folder, "sample --model x --seed -1"),
                "--seed: must be a whole number of up to 18 digits, got -1");
  check_error(run(folder, "sample --model " + quoted(missing)), missing + ": ");
  CHECK(run(folder, "").code != 0);
  CHECK(run(folder, "train --dropout 1").code != 0);
  CHECK(run(folder, "sample").code != 0);
  CHECK(run(folder, "sample --help").code == 0);
  CHECK(error_of<gradwalk::FileError>([&] { documents_of(missing); }) ==
        missing + ": README.md and docs are no longer there; name a text file");

  REQUIRE(run(folder, tiny_train(folder, "--epochs 1 --save " + quoted(folder / "model"))).code ==
          0);
  const std::string sample = "sample --model " + quoted(folder / "model") + " ";
  check_error(run(folder, sample + "--prompt '\xFF'"), "--prompt is not UTF-8");
  check_refused(run(folder, sample + "--temperature nan"),
                "--temperature: must be from 0 to 100, got nan");
  CHECK(run(folder, sample + "--temperature 1 -1").code != 0);
  // unknown characters are read, and printed as they are
  CHECK_THAT(run(folder, sample + "--prompt 'é😀'").out, ContainsText("0.8\né😀"));
  CHECK_THAT(run(folder, sample + "--prompt 'a\x1B'").out, ContainsText("0.8\na\\x1B"));
}

TEST_CASE("char_lm: the project's own documents are there", "[char_lm]") {
  const std::vector<std::string> paths = documents_of(GRADWALK_SOURCE_DIR);
  CHECK(paths.front() == GRADWALK_SOURCE_DIR "/README.md");
  CHECK(paths.size() >= 5);
  CHECK(read_texts({paths[0], paths[1]}) == read(paths[0]) + read(paths[1]));
}

TEST_CASE("char_lm: a file that is no model is refused", "[char_lm]") {
  const Folder folder;
  const std::string model = folder / "model", bad = folder / "bad";
  REQUIRE(run(folder, tiny_train(folder, "--layers 2 --epochs 1 --save " + quoted(model))).code ==
          0);
  Generator generator;
  const auto refusal = [&] {
    return error_of<gradwalk::FileError>([&] { load_model(bad, generator); });
  };
  const std::string bytes = read(model);
  for (std::size_t length = 0; length < bytes.size(); length += 1 + length / 8) {
    write(bad, bytes.substr(0, length));
    REQUIRE_THAT(refusal(), ContainsText(bad));
  }
  const gradwalk::Checkpoint good = gradwalk::load_safetensors(model);
  const auto save = [&](const gradwalk::Checkpoint& file) {
    gradwalk::StateDict state;
    for (const auto& [name, array] : file.tensors)
      state.emplace_back(name, gradwalk::Tensor(array));
    gradwalk::save_safetensors(bad, state, file.metadata);
  };
  const auto changed = [&](const std::string& key, const std::string& value) {
    gradwalk::Checkpoint file = good;
    file.metadata[key] = value;
    save(file);
    return refusal();
  };
  CHECK(changed("format", "pt") == bad + ": is not a model of this program");
  const std::string no_alphabet = bad + ": the alphabet is not <unk> and some characters";
  CHECK(changed("alphabet", "[]") == no_alphabet);
  CHECK(changed("alphabet", R"(["<unk>"])") == no_alphabet);
  CHECK(changed("alphabet", R"(["a", "b"])") == no_alphabet);
  CHECK(changed("alphabet", R"(["<unk>", "a", "a"])") ==
        bad + ": the alphabet holds 'a', which is not one character or there twice");
  CHECK_THAT(changed("alphabet", R"(["<unk>", ""])"), ContainsText("the alphabet holds '', which"));
  CHECK_THAT(changed("alphabet", R"(["<unk>", "ab"])"), ContainsText("holds 'ab', which"));
  CHECK(changed("alphabet", R"(["<unk>", "a"])") ==
        bad + ": embedding.weight is not of shape [2, 8]");
  CHECK_THAT(changed("alphabet", "[1, 2]"), ContainsText(": alphabet is not a list of texts"));
  CHECK_THAT(changed("config", "{}"), ContainsText(": dim is not a number from 1 to 65536"));
  CHECK(changed("config", "[]") == bad + ": its configuration must be an object");
  const auto config = [&](const char* key, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(good.metadata.at("config"));
    json[key] = value;
    return changed("config", json.dump());
  };
  CHECK(config("hidden", 1000000) == bad + ": hidden is not a number from 1 to 65536");
  CHECK_THAT(config("hidden", -8), ContainsText("hidden is not"));
  CHECK_THAT(config("dim", "much"), ContainsText("dim is not"));
  CHECK_THAT(config("layers", 0), ContainsText("layers is not"));
  CHECK(config("layers", 65536) == bad + ": lstm.weight_ih_l2 is not of shape [64, 16]");
  CHECK_THAT(config("layers", 1), ContainsText(bad + ": "));
  CHECK_THAT(config("hidden", 8), ContainsText("linear.weight is not of shape"));

  gradwalk::Checkpoint file = good;
  file.tensors["linear.bias"].data()[0] = static_cast<gradwalk::Real>(INFINITY);
  save(file);
  CHECK(refusal() == bad + ": 'linear.bias' holds numbers that are not finite");
  file = good;
  file.tensors.erase("linear.bias");
  save(file);
  CHECK_THAT(refusal(), ContainsText(bad + ": ") && ContainsText("linear.bias"));
  check_error(run(folder, "sample --model " + quoted(bad)), bad);
  file = good;
  for (auto& [name, array] : file.tensors) {
    std::fill(array.begin(), array.end(), std::numeric_limits<gradwalk::Real>::max());
  }
  save(file);
  check_error(run(folder, "sample --model " + quoted(bad)),
              bad + ": the model's weights are so large that its numbers overflow");
}

TEST_CASE("char_lm: Ctrl-C saves the best model so far", "[char_lm]") {
  const Folder folder;
  const std::string model = folder / "model", text = folder / "text";
  write(text, tiny_text());
  const Result result = interrupt(
      GRADWALK_CHAR_LM, folder,
      {"train", text, "--hidden", "16", "--epochs", "100000", "--save", model}, "epoch 2");
  CHECK(result.code == 130);
  CHECK_THAT(result.err, ContainsText("stopped by Ctrl-C; the best model so far is in " + model));
  CHECK(result.out.find("--- temperature") == std::string::npos);
  CHECK(run(folder, "sample --model " + quoted(model)).code == 0);
  check_first_epoch_is_not_saved(GRADWALK_CHAR_LM, "char_lm", folder, {"train", "--save", model},
                                 model, "held-out perplexity");
  const Result writing = interrupt(
      GRADWALK_CHAR_LM, folder,
      {"train", text, "--hidden", "512", "--layers", "2", "--epochs", "1", "--save", model},
      "saved: ");
  CHECK(writing.code == 130);
  CHECK_THAT(writing.err, ContainsText("the best model so far is in " + model));
  CHECK(writing.out.find("--- temperature 1\n") == std::string::npos);
}

#endif
