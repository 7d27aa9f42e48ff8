// What the command lines of the programs refuse, whichever option it is, and what they ask for that
// this machine cannot give.
#include <regex>

#include "tests/programs.hpp"

using namespace programs;

#if defined(GRADWALK_SENTIMENT)

TEST_CASE("every option that takes a number refuses what is none of its range", "[options]") {
  const Folder folder;
  for (const auto& [program, command, least] :
       {std::tuple(GRADWALK_SENTIMENT, "train", 11), std::tuple(GRADWALK_TRANSLATE, "train", 9),
        std::tuple(GRADWALK_TRANSLATE, "evaluate", 1), std::tuple(GRADWALK_TRANSLATE, "predict", 1),
        std::tuple(GRADWALK_CHAR_LM, "train", 10), std::tuple(GRADWALK_CHAR_LM, "sample", 3),
        std::tuple(GRADWALK_WORD2VEC, "", 10), std::tuple(GRADWALK_SPARSE_EMBEDDING, "", 4)}) {
    const std::string help = run(program, folder, command + std::string(" --help")).out;
    const std::regex number("\n +(--[a-z-]+) (?:FLOAT|UINT|INT)\\b");
    int found = 0;
    for (std::sregex_iterator m(help.begin(), help.end(), number), end; m != end; ++m, ++found) {
      const std::string option = (*m)[1];
      for (const char* bad : {"nan", "inf", "-inf", "1e400", "-1", "1,5", "2x", "", "1e30"}) {
        INFO(program << ' ' << command << ' ' << option << "='" << bad << "'");
        const Result result = run(program, folder, command + (' ' + option) + "='" + bad + "'");
        check_refused(result, option);
        CHECK(result.out.empty());
      }
    }
    INFO(program << ' ' << command << '\n' << help);
    CHECK(found >= least);
  }
  CHECK(folder.files() == 3);  // what the shell gave them as streams
}

#ifndef GRADWALK_SANITIZE  // whose own memory cannot be limited
TEST_CASE("a program that runs out of memory says so in one line", "[options]") {
  const Folder folder;
  for (const auto& [program, name, arguments] :
       {std::tuple(GRADWALK_SENTIMENT, "sentiment", "train --layers 64 --hidden 4096"),
        std::tuple(GRADWALK_TRANSLATE, "translate", "train --hidden 2048 --embedding-dim 4096"),
        std::tuple(GRADWALK_CHAR_LM, "char_lm", "train --layers 64 --hidden 4096"),
        std::tuple(GRADWALK_WORD2VEC, "word2vec", "--dim 4096 --batch 1000000")}) {
    INFO(program << ' ' << arguments);
    const Result result = run("sh", folder,
                              "-c 'ulimit -v 600000; exec \"$@\"' sh " + quoted(program) + ' ' +
                                  arguments + " --save " + quoted(folder / "saved"));
    check_error(result, name, "out of memory: ");
    CHECK_FALSE(std::filesystem::exists(folder / "saved"));
  }
}
#endif

#endif
