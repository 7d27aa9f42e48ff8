// What the sentiment program gives away for comparison: its corpus and its logits.
#include "layers/files/safetensors.hpp"
#include "tests/catch.hpp"
#include "tests/programs.hpp"

#ifdef GRADWALK_SENTIMENT
using namespace programs;

TEST_CASE("sentiment: logits and labels in a file give the accuracy that is printed",
          "[sentiment]") {
  const Folder folder;
  const auto run = [&](const std::string& arguments) {
    return programs::run(GRADWALK_SENTIMENT, folder, arguments);
  };
  CHECK_THAT(run("corpus " + quoted(folder / "")).out, ContainsText("/dev.tsv\nsaved: "));
  const std::string dev = quoted(folder / "dev.tsv"), model = quoted(folder / "model");
  REQUIRE(run("train --train " + dev + " --dev " + dev + " --model bag --epochs 1 --save " + model)
              .code == 0);
  const std::string evaluate =
      "evaluate --model " + model + " --data " + quoted(folder / "test.tsv") + " --logits ";
  const Result evaluated = run(evaluate + quoted(folder / "logits"));
  INFO(evaluated.err);
  REQUIRE(evaluated.code == 0);
  CHECK(run("evaluate --model " + model).out ==
        "no --data: the built-in test sentences\n\n" + evaluated.out);

  const auto tensors = gradwalk::load_safetensors(folder / "logits").tensors;
  CHECK(tensors.size() == 4 * 8);  // 500 sentences in batches of 64
  std::size_t right = 0;
  for (std::size_t k = 0; k < 8; ++k) {
    const std::string prefix = std::to_string(k) + '.';
    const gradwalk::Array &labels = tensors.at(prefix + "labels"),
                          &logits = tensors.at(prefix + "logits"),
                          &lengths = tensors.at(prefix + "lengths");
    const std::size_t N = labels.size();
    CHECK((logits.shape() == gradwalk::Shape{N, 2}));
    CHECK((tensors.at(prefix + "ids").shape() ==
           gradwalk::Shape{static_cast<std::size_t>(lengths.data()[0]), N}));
    for (std::size_t n = 0; n < N; ++n)
      right += (logits.data()[2 * n + 1] > logits.data()[2 * n]) == (labels.data()[n] == 1);
  }
  CHECK_THAT(evaluated.out, ContainsText("(" + std::to_string(right) + "/500)\n"));

  check_error(run(evaluate + model), "sentiment", "--logits");
  check_error(run("corpus " + quoted(folder / "nowhere")), "sentiment", "nowhere/train.tsv");
  check_refused(run("corpus ''"), "FOLDER: must not be empty");
  // nothing is written where not all can be
  std::filesystem::remove(folder / "train.tsv");
  std::filesystem::remove(folder / "test.tsv");
  std::filesystem::create_directory(folder / "test.tsv");
  check_error(run("corpus " + quoted(folder / "")), "sentiment",
              "test.tsv: is a directory, not a file");
  CHECK_FALSE(std::filesystem::exists(folder / "train.tsv"));
}
#endif
