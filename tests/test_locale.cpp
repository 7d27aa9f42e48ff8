// Nothing that is read, written or reported depends on the locale of the program.
#include <clocale>
#include <filesystem>
#include <fstream>
#include <locale>
#include <regex>
#include <sstream>

#include "core/core.hpp"
#include "examples/report.hpp"
#include "examples/translate/picture.hpp"
#include "examples/word2vec/map.hpp"
#include "layers/check_layer.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/child.hpp"
#include "tests/folder.hpp"

using namespace gradwalk;

namespace {

struct German : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

// While it lives, streams of C++ are German, and functions of C as well, if the system can.
class InGerman {
 public:
  InGerman() : before_(std::locale::global(std::locale(std::locale::classic(), new German))) {
    for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"}) {
      if (std::setlocale(LC_NUMERIC, name)) return;
    }
  }
  ~InGerman() {
    std::locale::global(before_);
    std::setlocale(LC_NUMERIC, "C");
  }

 private:
  std::locale before_;
};

std::string bytes_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

template <class T>
std::string printed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

// With the same mark for any time that was measured, and for any number of blanks.
std::string unmeasured(const std::string& text) {
  return std::regex_replace(text, std::regex("[0-9.e-]+| +"), "#");
}

// Writes all that numbers go into, a file each.
void write_everything(const tests::Folder& folder) {
  const auto put = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / ("of " + name), std::ios::binary) << text;
  };
  Generator g(1);
  std::vector<std::string> words;
  for (int i = 0; i < 1234; ++i) words.push_back("w" + std::to_string(i));
  const Array table = normal({1234, 2}, g);
  const WordVectors vectors(words, table);
  const std::string path = folder / "file";

  save_word2vec_text(path, vectors);
  put("text", bytes_of(path));
  put("text, read", printed(read_word_vectors(path).vectors()));
  save_word2vec_binary(path, vectors);
  put("binary", bytes_of(path));
  put("binary, read", printed(read_word_vectors(path).vectors()));
  std::ofstream(path) << "tiny 1e-400 0.5 1.2345678901234567890e-310\nw +1.5 1e3 2\n";
  put("small numbers, read", printed(read_word_vectors(path).vectors()));
  save_projector(path, folder / "words", vectors);
  put("projector", bytes_of(path));
  put("fill_table", [&] {
    Array rows = full({3, 2}, 0);
    return fill_table(rows, {"w1", "none", "w5"}, vectors, g).missing_rows;
  }());
  save_safetensors(path, {{"w", Tensor(normal({1234, 3}, g))}}, {{"n", "1.5"}});
  put("safetensors", bytes_of(path));
  put("safetensors, read", printed(load_safetensors(path).tensors.at("w")));

  const Tensor wide(full({1000, 2000}, 0.5));
  put("message", error_of([&] { matmul(wide, wide); }));
  put("message of a number", error_of([&] { SGD({Tensor(table, true)}, {-1234.5}); }));
  put("shape", printed(wide.shape()));
  put("array", printed(wide.value()));
  put("ids", printed(Indices{123456}));
  put("module", printed(Linear(100, 20, g)));
  const Gradient rows = RowSparse{{1500, 1500}, Tensor({{1, 2}, {3, 4}}), 5000};
  put("gradient", printed(rows));
  put("summary", printed(describe(rows)));

  Tensor x(full({1200}, 0.5), true);
  Trace trace;
  trace.name(x, "x");
  const Tensor loss = mean(x * x * Real(1234.5));
  backward(loss);
  SGD({x}, {0.5}).step();
  put("trace", printed(trace));
  put("drawing", trace.draw());
  trace.save(path);
  put("trace, saved", bytes_of(path));
  put("explanation", printed(explain([&] { return mean(x * x); }, x, {1100})));
  LayerReport report;
  report.rows.resize(1234, {"check", {}, {}, 0.5, 1, {}});
  put("report of a layer", printed(report));
  Profile profile;
  const Tensor one(full({}, 1), true);
  for (int i = 0; i < 1234; ++i) exp(one);
  backward(exp(one));
  put("profile", unmeasured(printed(profile)));
  profile.save(path);
  put("profile, saved", unmeasured(bytes_of(path)));
  Report figures({path, folder / "page.html"}, "test", {{"n", 1234}, {"lr", 0.5}}, {{"x", x}});
  backward(mean(x * x));
  SGD({x}, {0.5}).step();
  figures.end_epoch({{"loss", 1234.5}});
  put("figures", bytes_of(path));
  put("map", svg_map({{0.1, 1234.5}, {5, 6}}, {"a", "b"}, {0, 0}, {"group"}));
  put("attention", translate::svg_attention({{0.25, 0.75}}, {"a", "b"}, {"c"}));
}

}  // namespace

TEST_CASE("nothing depends on the locale of the program", "[locale][fork]") {
  const tests::Folder classic, german;
  // In children, so that both number their tensors alike.
  CHECK(tests::in_child([&] { return write_everything(classic), true; }));
  CHECK(tests::in_child([&] {
    const InGerman locale;
    return printed(1234.5) == "1.234,5" && (write_everything(german), true);
  }));
  CHECK(classic.files() > 20);
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(classic / ""))) {
    const std::string name = entry.path().filename().string(), bytes = bytes_of(classic / name);
    INFO(name);
    CHECK(!bytes.empty());
    CHECK(bytes_of(german / name) == bytes);
  }
}
