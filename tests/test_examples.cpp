// The small programs.
#include <cmath>
#include <cstdio>

#include "core/core.hpp"
#include "layers/files/word_vectors.hpp"
#include "tests/catch.hpp"
#include "tests/programs.hpp"

#ifdef GRADWALK_WORD2VEC
#include "examples/text.hpp"
#include "examples/word2vec/map.hpp"

namespace {

using namespace programs;
using gradwalk::Array;

// The number that follows `label` in the output.
double number_after(const std::string& out, const std::string& label) {
  const std::size_t at = out.find(label);
  INFO(out);
  REQUIRE(at != std::string::npos);
  return std::stod(out.substr(at + label.size()));
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++n;
  return n;
}

// Every tag of an SVG is closed in order, and no other <, > or & stands in it than those of tags
// and of the three references.
void check_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (std::size_t at = 0; (at = svg.find_first_of("<>&", at)) != std::string::npos; ++at) {
    if (svg[at] == '&') {
      const std::string reference = svg.substr(at, svg.find(';', at) - at);
      REQUIRE((reference == "&lt" || reference == "&gt" || reference == "&amp"));
      continue;
    }
    REQUIRE(svg[at] == '<');
    const std::string tag = svg.substr(at + 1, svg.find_first_of("<>", at + 1) - at - 1);
    at += 1 + tag.size();
    REQUIRE(svg.substr(at, 1) == ">");
    if (tag.at(0) == '/') {
      REQUIRE(!open.empty());
      REQUIRE("/" + open.back() == tag);
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  CHECK(open.empty());
}

// 40 lines in which a and b stand beside c, x and y beside z.
std::string tiny_text() {
  std::string text;
  for (int i = 0; i < 10; ++i) text += "a c\nB  c\r\nx\tz\ny z\n";
  return text;
}

Result word2vec(const Folder& folder, const std::string& arguments) {
  return run(GRADWALK_WORD2VEC, folder, arguments);
}

}  // namespace

TEST_CASE("progress: a terminal sees one line, which is cleared", "[examples]") {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) {
    WARN("skipped: no pseudo terminals");
    return;
  }
  const int before = dup(STDERR_FILENO);
  REQUIRE((grantpt(terminal) == 0 && unlockpt(terminal) == 0));
  const int end = open(ptsname(terminal), O_WRONLY | O_NOCTTY);
  REQUIRE(dup2(end, STDERR_FILENO) == STDERR_FILENO);
  Progress progress(1000000, "words");
  progress.advance(1000);
  usleep(50000);  // so that rounding to whole words and seconds is within 2 %
  progress.print("epoch %d", 2);
  progress.clear();
  dup2(before, STDERR_FILENO);
  for (int fd : {before, end}) close(fd);  // now what was written has an end
  std::string line;
  for (char c = 0; ::read(terminal, &c, 1) == 1;) line += c;
  close(terminal);
  double rate = 0, left = 0;
  CHECK(std::sscanf(line.c_str(), "\repoch 2  %lf words/s  %lf s left", &rate, &left) == 2);
  CHECK_THAT(rate * left, WithinAbs(999000, 20000));
  CHECK(line[0] == '\r');
  CHECK_THAT(line, ContainsText(" s left \033[K\r\033[K"));
}

TEST_CASE("embedding_basics: rows out, and a gradient of the rows alone", "[examples]") {
  const Folder folder;
  const Result result = run(GRADWALK_EMBEDDING_BASICS, folder, "");
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  CHECK_THAT(result.out, ContainsText("table [10000, 128]\n"));
  CHECK_THAT(result.out, ContainsText("ids [3] -> y [3, 128]\n"));
  CHECK(number_after(result.out, "y[2, 0]") == number_after(result.out, "table[435, 0]"));
  CHECK_THAT(result.out, ContainsText("ids [2, 2] -> z [2, 2, 128]\n"));
  CHECK_THAT(result.out, ContainsText("4 of 10000 rows, as they came\n  row   2   1 1 1 ...\n"));
  CHECK_THAT(result.out, ContainsText("added up\n  row   2   2 2 2 ...\n  row   7   1 1 1 ...\n"
                                      "  row 435   1 1 1 ...\n"));
}

TEST_CASE("pretrained_lookup: built-in words, a file, a word that is not there", "[examples]") {
  const Folder folder;
  const auto lookup = [&](const std::string& arguments) {
    return run(GRADWALK_PRETRAINED_LOOKUP, folder, arguments);
  };
  const Result built_in = lookup("");
  CHECK(built_in.code == 0);
  CHECK_THAT(built_in.out, ContainsText("8 words, 4 numbers each\n"));
  CHECK_THAT(built_in.out, ContainsText("king     [0.90, 0.80, ...]\n"));
  CHECK_THAT(built_in.out, ContainsText("man is to king as woman is to\n  queen "));

  const std::string path = folder / "vectors.vec";
  write(path, "3 2\na 1 0\nb 0.6 0.8\nc -1 0\n");
  CHECK_THAT(lookup(quoted(path) + " b").out, ContainsText("nearest to b\n  a            0.600\n"
                                                           "  c            -0.600\n"));
  check_error(lookup(quoted(path) + " d"), "pretrained_lookup", "'d' has no vector");
  check_error(lookup(quoted(folder / "none")), "pretrained_lookup", "none: cannot be opened");
  write(path, "0 2\n");
  check_error(lookup(quoted(path)), "pretrained_lookup", "holds no word vectors");
  CHECK(lookup("--help").code == 0);
  CHECK(lookup(quoted(path) + " a b").code == 2);
}

TEST_CASE("sparse_embedding: a sparse step never holds a second table", "[examples]") {
  const Folder folder;
  const Result result =
      run(GRADWALK_SPARSE_EMBEDDING, folder, "--rows 200000 --dim 32 --ids 100 --steps 3");
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  const double table = number_after(result.out, "32], ");
  CHECK(table == Approx(200000 * 32 * sizeof(gradwalk::Real) / 1e6).margin(0.06));
  struct Row {
    double dense_ms, dense_mb, sparse_ms, sparse_mb;
  };
  const auto row = [&](const std::string& phase) {
    std::istringstream numbers(result.out.substr(result.out.find("\n" + phase + " ") + 15));
    Row r{};
    numbers >> r.dense_ms >> r.dense_mb >> r.sparse_ms >> r.sparse_mb;
    REQUIRE(numbers);
    return r;
  };
  CHECK(row("forward").dense_mb < row("make the table").dense_mb + table / 2);
  CHECK(row("step").dense_mb > row("forward").dense_mb + 0.9 * table);
  CHECK(row("step").sparse_mb < row("make the table").sparse_mb + table / 2);
  CHECK(row("step").sparse_ms >= 0);

  CHECK(run(GRADWALK_SPARSE_EMBEDDING, folder, "--help").code == 0);
  CHECK(run(GRADWALK_SPARSE_EMBEDDING, folder, "--rows 0").code != 0);
#ifndef GRADWALK_SANITIZE  // which ends a program that asks for so much
  check_error(run(GRADWALK_SPARSE_EMBEDDING, folder, "--rows 1000000000 --dim 65536"),
              "sparse_embedding", "the dense run came to no result; is there memory for it?");
#endif
}

TEST_CASE("word2vec: words of a group become neighbours", "[examples]") {
  const Folder folder;
  const std::string vectors = folder / "vectors.txt", map = folder / "map.svg";
  const Result result = word2vec(folder, "--save " + quoted(vectors) + " --map " + quoted(map));
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  CHECK(result.err.empty());
  CHECK(number_after(result.out, "purity ") >= 0.9);
  CHECK(number_after(result.out, "groups)\n") <= 0.2);
  CHECK_THAT(result.out, ContainsText("epoch 3  loss "));
  CHECK_THAT(result.out, ContainsText(" words/s\n"));
  CHECK_THAT(result.out, ContainsText("\ncat:  "));

  const gradwalk::WordVectors read_back = gradwalk::read_word_vectors(vectors);
  CHECK(read_back.dim() == 64);
  CHECK(read_back.similarity("cat", "dog") > read_back.similarity("cat", "piano") + 0.3);
  const std::string svg = read(map);
  check_well_formed(svg);
  CHECK(occurrences(svg, "<circle") == 80);
  CHECK(occurrences(svg, ">cat</text>") == 1);
  CHECK(occurrences(svg, ">ANIMAL</text>") == 1);
}

TEST_CASE("word2vec: the same seed gives the same bytes", "[examples]") {
  const Folder folder;
  const auto vectors = [&](const std::string& seed, const std::string& name) {
    REQUIRE(
        word2vec(folder, "--epochs 1 --dim 8 --seed " + seed + " --save " + quoted(folder / name))
            .code == 0);
    return read(folder / name);
  };
  const std::string first = vectors("5", "a");
  CHECK(first == vectors("5", "b"));
  CHECK(first != vectors("6", "c"));
}

TEST_CASE("word2vec: learns from a text", "[examples]") {
  const Folder folder;
  const std::string text = folder / "text", map = folder / "map.svg";
  write(text, "\xEF\xBB\xBF" + tiny_text() + "<&> rare\n");
  const Result result = word2vec(
      folder, "--text " + quoted(text) +
                  " --dim 8 --epochs 100 --subsample 0 --batch 16 --word a --word y --map " +
                  quoted(map));
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  CHECK_THAT(result.out, ContainsText("80 words, 6 different\n"));  // <&> and rare are rare
  CHECK_THAT(result.out, ContainsText("\na:  b "));
  CHECK_THAT(result.out, ContainsText("\ny:  x "));
  CHECK(result.out.find("purity") == std::string::npos);

  const Result skipped =
      word2vec(folder, "--text " + quoted(text) + " --dim 8 --min-count 1 --subsample 1e-9 --map " +
                           quoted(map));
  CHECK(skipped.code == 0);
  CHECK_THAT(skipped.out,
             ContainsText("epoch 1  no pairs: so few words are left by subsampling\n"));
  check_well_formed(read(map));
  CHECK(occurrences(read(map), ">&lt;&amp;&gt;</text>") == 1);
}

TEST_CASE("word2vec: a bad file or word is one clear error", "[examples]") {
  const Folder folder;
  const std::string path = folder / "text", missing = folder / "missing";
  const auto train_on = [&](const std::string& bytes, const std::string& more = "") {
    write(path, bytes);
    return word2vec(folder, "--text " + quoted(path) + " " + more);
  };
  check_error(train_on("a b\nc \xFF\n"), "word2vec", path + ":2: is not UTF-8");
  const std::string no_pairs =
      ": has no pairs: needs a line of two words, and two different words, seen ";
  check_error(train_on(""), "word2vec", path + no_pairs + "5 times or more");
  check_error(train_on("a b\n"), "word2vec", path + no_pairs + "5 times");
  check_error(train_on("a\nb\n", "--min-count 1"), "word2vec", path + no_pairs + "1 times");
  check_error(train_on("a a\n", "--min-count 1"), "word2vec", path + no_pairs + "1 times");
  check_error(train_on(tiny_text(), "--word q"), "word2vec", "'q' is not one of the 6 words");
  check_error(word2vec(folder, "--text " + quoted(missing)), "word2vec",
              missing + ": cannot be opened for reading");
  const std::string here = std::filesystem::path(path).parent_path().string();
  check_error(word2vec(folder, "--text " + quoted(here)), "word2vec",
              here + ": is a directory, not a file");
  for (const std::string option : {"--save ", "--map "}) {
    check_error(word2vec(folder, option + quoted(missing + "/file")), "word2vec",
                missing + "/file: cannot be written");
    check_error(word2vec(folder, option + quoted(here)), "word2vec", here + ": is a directory");
  }
  CHECK(word2vec(folder, "--help").code == 0);
  CHECK(word2vec(folder, "--dim none").code != 0);
}

TEST_CASE("word2vec: Ctrl-C saves the vectors so far", "[examples]") {
  const Folder folder;
  const std::string vectors = folder / "vectors.txt";
  const Result result =
      interrupt(GRADWALK_WORD2VEC, folder, {"--epochs", "100000", "--save", vectors}, "epoch 1");
  CHECK(result.code == 130);
  CHECK(result.err == "word2vec: stopped by Ctrl-C; the vectors so far are in " + vectors + "\n");
  CHECK(gradwalk::read_word_vectors(vectors).size() == 162);
}

TEST_CASE("word2vec: the map's plane is that of the greatest spread", "[examples]") {
  // Eight corners of a box that is longest along axis 2, then along axis 0.
  Array x = gradwalk::empty({8, 3});
  for (std::size_t n = 0; n < 8; ++n) {
    x(n, 0) = n & 1 ? 7 : 3;
    x(n, 1) = n & 2 ? 1 : -1;
    x(n, 2) = n & 4 ? 5 : -5;
  }
  const Array places = project(x, principal_axes(x));
  REQUIRE(places.shape() == gradwalk::Shape{8, 2});
  for (std::size_t n = 0; n < 8; ++n) {
    CHECK_THAT(std::abs(places(n, 0)), WithinAbs(5, 1e-5));
    CHECK_THAT(std::abs(places(n, 1)), WithinAbs(2, 1e-5));
    CHECK((places(n, 0) > 0) == ((places(4, 0) > 0) == (n >= 4)));
  }
  // Words that are all alike lie on one spot, and are no division by zero.
  const Array equal = gradwalk::full({3, 4}, 1), same = project(equal, principal_axes(equal));
  for (std::size_t k = 0; k < same.size(); ++k) CHECK(same.data()[k] == 0);
  const std::string svg = svg_map(same, {"a<b", "\x01\xEF\xBF\xBF", "&"}, {0, 0, 0}, {});
  check_well_formed(svg);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(occurrences(svg, ">a&lt;b</text>") == 1);
  CHECK(occurrences(svg, ">\xEF\xBF\xBD\xEF\xBF\xBD</text>") == 1);
  CHECK(occurrences(svg, ">&amp;</text>") == 1);
}

#endif
