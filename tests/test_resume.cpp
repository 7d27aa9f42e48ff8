// Runs of the programs that are killed, stopped or cannot save, and go on.
#include <chrono>
#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/core.hpp"
#include "layers/files/safetensors.hpp"
#include "tests/programs.hpp"

using namespace programs;

#if defined(GRADWALK_SENTIMENT)

namespace {

struct Program {
  std::string path, arguments;
};
const std::vector<Program> kPrograms{
    {GRADWALK_SENTIMENT,
     "train --model lstm --hidden 8 --embedding-dim 8 --dropout 0.3 --epochs 3 --optimizer sgd "
     "--policy exact"},
    {GRADWALK_SENTIMENT, "train --model bag --embedding-dim 32 --epochs 20 --report report"},
    {GRADWALK_TRANSLATE, "train --hidden 8 --embedding-dim 8 --pairs 600 --epochs 2"},
    {GRADWALK_CHAR_LM, "train --hidden 8 --dim 8 --batch 64 --dropout 0.2 --epochs 2"},
    {GRADWALK_WORD2VEC, "--dim 8 --epochs 2 --batch 512"}};

// In the folder, its output going to `out` there. Once `when` says so it gets the signal, if it still
// runs. What waitpid() says of it.
int run_until(const Program& program, const Folder& folder, const std::string& more, int signal,
              const std::function<void()>& when) {
  const std::string command = "cd " + quoted(folder / "") + " && exec " + quoted(program.path) +
                              " " + program.arguments + more + " > out 2> err";
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  if (when) {
    when();
    kill(child, signal);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  INFO(read(folder / "out") << read(folder / "err"));
  return status;
}

// Killed after that many milliseconds; 0: never.
int run_for(const Program& program, const Folder& folder, const std::string& more,
            std::size_t milliseconds) {
  const auto wait = [=] { usleep(static_cast<useconds_t>(1000 * milliseconds)); };
  if (milliseconds == 0) return run_until(program, folder, more, 0, nullptr);
  return run_until(program, folder, more, SIGKILL, wait);
}

// Gets the signal once `sign` appears in its output.
int run_to(const std::string& sign, int signal, const Program& program, const Folder& folder,
           const std::string& more) {
  return run_until(program, folder, more, signal, [&] {
    for (int i = 0; i < 6000 && read(folder / "out").find(sign) == std::string::npos; ++i)
      usleep(10000);
  });
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

}  // namespace

TEST_CASE("a run that was killed again and again ends in the bits of one that was not",
          "[resume]") {
  gradwalk::Generator generator(16);
  std::size_t all_kills = 0;  // most come before a run is over
  for (const Program& program : kPrograms) {
    INFO(program.path << ' ' << program.arguments);
    const Folder alone, killed;
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(run_for(program, alone, " --save model", 0) == 0);
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    const std::string expected = read(alone / "model");
    std::size_t kills = 0;
    for (int status = -1; status != 0;) {
      const bool begun = exists(killed / "run");
      const std::string more = begun ? " --resume run" : " --checkpoint run";
      const std::size_t most = static_cast<std::size_t>(time.count() * 2 / 3) + 10,
                        wait = kills >= 20 ? 0 : 5 + generator.below(most);
      status = run_for(program, killed, more + " --every 0.0002 --save model", wait);
      REQUIRE((status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)));
      if (status != 0) ++kills;
      if (exists(killed / "model") && program.path != GRADWALK_WORD2VEC)
        gradwalk::load_safetensors(killed / "model");  // whole, whenever it was killed
    }
    all_kills += kills;
    CHECK(read(killed / "model") == expected);
    CHECK(killed.files() == alone.files() + 1);  // the checkpoint
    // resumed at the end it only tells the end again
    REQUIRE(run_for(program, killed, " --resume run --save again", 0) == 0);
    CHECK(read(killed / "again") == expected);
  }
  CHECK(all_kills >= 3);
}

TEST_CASE("a run goes on only from a checkpoint of its own", "[resume]") {
  const Folder folder;
  const Program& sentiment = kPrograms[1];
  REQUIRE(run_for(sentiment, folder, " --checkpoint run", 0) == 0);
  const auto refused = [&](const Program& program, const std::string& more,
                           const std::string& why) {
    CHECK(WEXITSTATUS(run_for(program, folder, more, 0)) == 1);
    const std::string error = read(folder / "err");
    CHECK_THAT(error, ContainsText(why));
    CHECK(std::count(error.begin(), error.end(), '\n') == 1);
  };
  refused(sentiment, " --resume run --seed 2", "run: is of another run: seed was 1, now 2");
  refused(sentiment, " --resume run --hidden 9", "--hidden");
  refused(kPrograms[0], " --resume run", "run: is of another run: ");
  refused(kPrograms[2], " --resume run", "run: is not a checkpoint of this program");
  refused(sentiment, " --resume nothing", "nothing: cannot be opened");
  write(folder / "text", "not a checkpoint");
  refused(sentiment, " --resume text", "text: is no safetensors file");
  refused(sentiment, " --checkpoint no/run", "no/run: cannot be written");
  refused(sentiment, " --resume run --save run", "run: is named by --save and by --resume");
  refused(sentiment, " --resume run --checkpoint other --save run",
          "run: is named by --resume and by --save");

  // other values of the same names: refused, or a run, but no crash
  const gradwalk::Checkpoint good = gradwalk::load_safetensors(folder / "run");
  const auto with_report = [&](const char* report) {
    gradwalk::StateDict state;
    for (const auto& [name, array] : good.tensors)
      state.emplace_back(name, gradwalk::Tensor(gradwalk::Array(array)));
    gradwalk::Metadata metadata = good.metadata;
    metadata["report"] = report;
    gradwalk::save_safetensors(folder / "changed", state, metadata);
  };
  for (const char* report : {"[]", "3", "{", "{}", R"({"program":1,"epochs":[]})",
                             R"({"program":"sentiment","epochs":{}})"}) {
    with_report(report);
    refused(sentiment, " --resume changed", "changed: ");
  }
  gradwalk::Generator generator(3);
  for (const auto& [changed, values] : good.tensors) {
    gradwalk::StateDict state;
    for (const auto& [name, array] : good.tensors) {
      gradwalk::Array copy = array;
      if (name == changed && copy.size() > 0) copy.data()[generator.below(copy.size())] = 65535;
      state.emplace_back(name, gradwalk::Tensor(std::move(copy)));
    }
    gradwalk::save_safetensors(folder / "changed", state, good.metadata);
    INFO(changed);
    const int status = run_for(sentiment, folder, " --resume changed", 0);
    CHECK(WIFEXITED(status));
    state.pop_back();
    gradwalk::save_safetensors(folder / "changed", state, good.metadata);
    CHECK(WEXITSTATUS(run_for(sentiment, folder, " --resume changed", 0)) == 1);
  }
}

TEST_CASE("a run that goes on with other threads says so", "[resume]") {
  const Folder folder;
  const Program one{"/usr/bin/env",
                    "GRADWALK_NUM_THREADS=1 " + kPrograms[2].path + ' ' + kPrograms[2].arguments};
  const Program two{"/usr/bin/env",
                    "GRADWALK_NUM_THREADS=2 " + kPrograms[2].path + ' ' + kPrograms[2].arguments};
  REQUIRE(run_for(one, folder, " --checkpoint run", 0) == 0);
  CHECK(run_for(one, folder, " --resume run", 0) == 0);
  CHECK(read(folder / "err").empty());
  CHECK(run_for(two, folder, " --resume run", 0) == 0);
  CHECK(read(folder / "err") ==
        "translate: run began with 1 threads and goes on with 2: not in the same bits\n");
}

TEST_CASE("word2vec: the page of a run that went on has the map at each epoch", "[resume]") {
  const Folder folder;
  const Program program{kPrograms[4].path, "--dim 8 --epochs 3 --see page.html"};
  REQUIRE(WIFEXITED(run_to("epoch 1 ", SIGTERM, program, folder, " --checkpoint run")));
  REQUIRE(exists(folder / "run"));
  REQUIRE(run_for(program, folder, " --resume run", 0) == 0);
  const std::string page = read(folder / "page.html"), start = "\"places\":";
  const std::size_t from = page.find(start) + start.size();
  REQUIRE(from > start.size());
  const auto places = nlohmann::json::parse(page.substr(from, page.find(",\"neighbours\"") - from));
  CHECK(places.size() == 4);  // the first: untrained
}

TEST_CASE("a run that is asked to end keeps what it has", "[resume]") {
  const Program program{kPrograms[0].path, "train --model bag --embedding-dim 8 --epochs 100000"};
  const auto ask = [&](int signal, const std::string& by) {
    const Folder folder;
    const int status =
        run_to("epoch 1 ", signal, program, folder, " --save model --checkpoint run --every 1000");
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 128 + signal);
    const std::string error = read(folder / "err");
    CHECK_THAT(error, ContainsText("sentiment: stopped by " + by + "; "));
    CHECK_THAT(error, ContainsText("--resume run goes on"));
    CHECK(exists(folder / "run"));
    CHECK(WIFEXITED(run_to("resumed: ", signal, program, folder, " --resume run")));
    CHECK_THAT(read(folder / "out"), ContainsText("resumed: epochs that are over: "));
  };
  ask(SIGINT, "Ctrl-C");
  ask(SIGTERM, "SIGTERM");
  ask(SIGHUP, "SIGHUP");

  const Folder folder;  // under nohup it goes on
  const Program ignoring{"/usr/bin/env", "sh -c 'trap \"\" HUP; exec " + program.path + " " +
                                             kPrograms[1].arguments + "'"};
  CHECK(run_to(" classes", SIGHUP, ignoring, folder, "") == 0);
}

// Files may grow to a few kilobytes only: what a full disk does.
TEST_CASE("a save that fails does not end a training, and the exit status says so", "[resume]") {
  for (std::size_t k : {1, 2, 3}) {
    const Folder folder;
    const Program limited{"/bin/sh", "-c 'ulimit -f 8; exec \"$0\" \"$@\"' " + kPrograms[k].path +
                                         " " + kPrograms[k].arguments};
    INFO(limited.arguments);
    const int status = run_for(limited, folder, " --save model --checkpoint run --every 0.01", 0);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 1);
    const std::string error = read(folder / "err"), out = read(folder / "out");
    CHECK_THAT(error, ContainsText("model: cannot be written: File too large"));
    CHECK_THAT(error, ContainsText("run: cannot be written: File too large"));
    CHECK_THAT(out, ContainsText("best: epoch "));
    CHECK_FALSE(exists(folder / "model"));
    CHECK_FALSE(exists(folder / "run"));
    CHECK(out.find("saved: ") == std::string::npos);
    // the checkpoint alone
    CHECK(WEXITSTATUS(run_for(limited, folder, " --checkpoint run", 0)) == 1);
    CHECK_THAT(read(folder / "err"), ContainsText("run: cannot be written: File too large"));
  }
  const Folder folder;  // what was not written is not said to go on
  const Program endless{"/bin/sh", "-c 'ulimit -f 8; exec \"$0\" \"$@\"' " + kPrograms[1].path +
                                       " train --model bag --embedding-dim 32 --epochs 100000"};
  REQUIRE(WIFEXITED(run_to("epoch 1 ", SIGTERM, endless, folder, " --checkpoint run")));
  CHECK(read(folder / "err").find("goes on") == std::string::npos);
}

#endif
