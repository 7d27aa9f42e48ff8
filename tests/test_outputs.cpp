// Every file that a program writes, where it cannot be written: the other files and the last lines
// are not lost with it, what was there stays, and the exit status says so.
#include "core/core.hpp"
#include "layers/files/safetensors.hpp"
#include "tests/programs.hpp"

using namespace programs;

#if defined(GRADWALK_SENTIMENT)

namespace {

struct Output {
  std::string program, before, option, path, after;
  std::string line;   // of the output, that is not lost
  std::string saved;  // a file that is not lost
};

const std::string kSentiment = "train --model bag --embedding-dim 4 --epochs 2",
                  kTranslate = "train --hidden 4 --embedding-dim 4 --pairs 200 --epochs 2",
                  kCharLm = "train --hidden 4 --dim 4 --batch 64 --epochs 2",
                  kWord2vec = "--dim 4 --epochs 2 --batch 2048";

std::vector<Output> outputs() {
  std::vector<Output> all;
  const auto train = [&](const char* program, const std::string& arguments, const std::string& line,
                         std::vector<std::string> options) {
    options.insert(options.end(), {"--report", "--checkpoint"});
    for (const std::string& option : options)
      all.push_back({program, arguments + " --save saved", option, "full/out", "", line, "saved"});
    all.push_back({program, arguments, "--save", "full/out", "", line, ""});
    all.push_back(
        {program, arguments + " --save saved", "--report", "full/out.html", "", line, "saved"});
  };
  train(GRADWALK_SENTIMENT, kSentiment, "accuracy ", {"--profile"});
  train(GRADWALK_TRANSLATE, kTranslate, "exact match ", {});
  train(GRADWALK_CHAR_LM, kCharLm, "temperature 1", {});
  train(GRADWALK_WORD2VEC, kWord2vec, "purity ", {"--map"});
  all.push_back({GRADWALK_WORD2VEC, kWord2vec + " --save saved", "--see", "full/out.html", "",
                 "purity ", "saved"});
  all.push_back({GRADWALK_SENTIMENT, "evaluate --model sentiment", "--logits", "full/out", "",
                 "accuracy ", ""});
  all.push_back(
      {GRADWALK_SENTIMENT, "see --model sentiment", "--page", "full/out", "good", "", ""});
  all.push_back({GRADWALK_SENTIMENT, "corpus", "", "full", "", "", ""});
  all.push_back({GRADWALK_TRANSLATE, "predict --model translate", "--attention", "full/out",
                 "'3 march 1984'", "19", ""});
  all.push_back({GRADWALK_TRANSLATE, "see --model translate", "--page", "full/out",
                 "'3 march 1984'", "", ""});
  return all;
}

// In a folder where `full` is a disk of one page, filled by `out` and mounted as the options say.
// Lists it in `listing` when the program has ended.
Result run_on(const std::string& options, const Folder& folder, const Output& o) {
  const std::string command =
      "cd " + quoted(folder / "") +
      " && mkdir -p full && unshare --mount --map-root-user sh -c '"
      "mount -t tmpfs -o size=4k none full && printf old > full/out && "
      "mount -o remount," +
      options +
      " none full && \"$@\" > stdout 2> stderr; "
      "code=$?; ls -A full > listing; cat full/out >> listing; exit $code' sh " +
      quoted(o.program) + ' ' + o.before + ' ' + o.option + ' ' + o.path + ' ' + o.after;
  const int status = std::system(command.c_str());
  REQUIRE(WIFEXITED(status));
  return {WEXITSTATUS(status), read(folder / "stdout"), read(folder / "stderr")};
}

}  // namespace

TEST_CASE("what cannot be written costs nothing else", "[outputs]") {
  const Folder models;
  const std::string mount = "unshare --mount --map-root-user mount -t tmpfs none ";
  if (std::system((mount + quoted(models / "") + " 2>&-").c_str()) != 0) {
    WARN("skipped: the test may not mount a disk here");
    return;
  }
  for (const auto& [program, arguments, name] :
       {std::tuple(GRADWALK_SENTIMENT, kSentiment, "sentiment"),
        std::tuple(GRADWALK_TRANSLATE, kTranslate, "translate")})
    REQUIRE(run(program, models, arguments + " --save " + quoted(models / name)).code == 0);
  for (const Output& output : outputs()) {
    INFO(output.program << ' ' << output.before << ' ' << output.option << ' ' << output.path);
    const Folder folder;
    for (const char* name : {"sentiment", "translate"})
      std::filesystem::copy(models / name, folder / name);
    const auto check_told = [&](const Result& result, const std::string& why) {
      INFO(result.out << result.err);
      CHECK(result.code == 1);
      CHECK_THAT(result.err, ContainsText("full/"));
      CHECK_THAT(result.err, ContainsText(": cannot be written: " + why));
      CHECK(read(folder / "listing") == "out\nold");  // as it was, and nothing stray
    };
    const Result full = run_on("size=4k", folder, output);
    check_told(full, "No space left on device");
    CHECK_THAT(full.out, ContainsText(output.line));
    CHECK(std::filesystem::exists(folder / output.saved));
    if (output.program == GRADWALK_WORD2VEC && !output.saved.empty())
      CHECK(read(folder / "saved").size() > 1000);
    else if (!output.saved.empty())
      gradwalk::load_safetensors(folder / "saved");
    std::filesystem::remove(folder / "saved");

    const Result read_only = run_on("ro", folder, output);
    check_told(read_only, "Read-only file system");
    CHECK(read_only.out.find("epoch") == std::string::npos);  // told before hours of training
    CHECK_FALSE(std::filesystem::exists(folder / "saved"));
  }
}

#endif
