// Word vectors: what is read, what is refused, what is near, what is written.
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <set>
#include <sstream>

#include "core/core.hpp"
#include "layers/embedding.hpp"
#include "layers/files/word_vectors.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace gradwalk;
namespace fs = std::filesystem;

namespace {

class Folder : public tests::Folder {
 public:
  // The vectors in a file of these bytes.
  WordVectors read(const std::string& bytes, const ReadOptions& options = {},
                   ReadReport* report = nullptr) const {
    fs::remove(*this / "file");  // one that is overwritten may be flushed to the disk: slow
    std::ofstream(*this / "file", std::ios::binary) << bytes;
    return read_word_vectors(*this / "file", options, report);
  }
  // What the reader says about these bytes, after the path.
  std::string error(const std::string& bytes) const {
    try {
      read(bytes);
    } catch (const FileError& e) {
      const std::string path = *this / "file", text = e.what();
      REQUIRE(text.substr(0, path.size()) == path);
      return text.substr(path.size());
    }
    return "read without an error";
  }
};

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string floats(const std::vector<float>& numbers) {
  return std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * 4);
}

std::string text_of(const std::vector<WordVectors::Neighbour>& neighbours) {
  std::ostringstream out;
  out.precision(3);
  for (const auto& [word, similarity] : neighbours) out << word << ' ' << similarity << "; ";
  return out.str();
}

// [N, 1]
Array column(const std::vector<Real>& numbers) {
  Array a = empty({numbers.size(), 1});
  std::copy(numbers.begin(), numbers.end(), a.data());
  return a;
}

using Words = std::vector<std::string>;
const Array kTable{{1, -0.5, 0.25}, {0, 3, 1e-3}};

}  // namespace

// ---- reading ----

TEST_CASE("each format is recognised and gives the same vectors", "[word_vectors]") {
  const Folder folder;
  const std::string rows = "the 1 -0.5 0.25\nfilm 0 3 1e-3\n";
  const std::string binary_rows = "the " + floats({1, -0.5f, 0.25f}) + "\nfilm ";
  const std::vector<std::pair<std::string, std::string>> files{
      {rows, "GloVe text"},
      {"2 3\n" + rows, "word2vec text"},
      {"2 3\nthe 1 -0.5 0.25 \nfilm 0 3 0.001 \n", "word2vec text"},  // fastText
      {"2 3\n" + binary_rows + floats({0, 3, 1e-3f}) + "\n", "word2vec binary"},
      {"2 3\nthe " + floats({1, -0.5f, 0.25f}) + "film " + floats({0, 3, 1e-3f}),
       "word2vec binary"}};
  for (const auto& [bytes, format] : files) {
    ReadReport report;
    const WordVectors vectors = folder.read(bytes, {}, &report);
    CHECK(report.format == format);
    CHECK(report.rows == 2);
    CHECK(report.duplicates == 0);
    CHECK(vectors.words() == Words{"the", "film"});
    Array table = kTable;
    if (format == "word2vec binary") table(1, 2) = Real(1e-3f);
    CHECK(vectors.vectors() == table);
    CHECK(vectors.size() == 2);
    CHECK(vectors.dim() == 3);
    CHECK(vectors.find("film") == 1);
    CHECK_FALSE(vectors.find("films").has_value());
  }
}

TEST_CASE("text of the wild is read as it was meant", "[word_vectors]") {
  const Folder folder;
  const std::string rows = "the 1 -0.5 0.25\nfilm 0 3 1e-3\n";
  for (const std::string& bytes :
       {std::string("the 1 -0.5 0.25\nfilm 0 3 1e-3"), "\xEF\xBB\xBF" + rows,
        "\xEF\xBB\xBF"
        "2 3\r\n" +
            rows,
        std::string("the 1 -0.5 0.25\r\nfilm 0 3 1e-3\r\n"),
        std::string("the 1 -0.5 0.25 \t\r\n  film\t0  3 1e-3 \r\n"), "\n" + rows + " \n\n",
        "2 3\n\n" + rows, "2 3 \n" + rows + "\r\n", "2 3\n" + rows.substr(0, rows.size() - 1)}) {
    INFO(bytes);
    const WordVectors vectors = folder.read(bytes);
    CHECK(vectors.words() == Words{"the", "film"});
    CHECK(vectors.vectors() == kTable);
  }
  // Only trailing fields are numbers; whatever is before them is the word, byte for byte.
  const Words words{"x",   ". .  .", "at name@domain.com",  "\xFF\xC0\x80", "\xC2\xA0", "a\rb", "7",
                    "nan", "to inf", std::string("\0z", 2), "New\tYork"};
  std::string bytes;
  for (const std::string& word : words) bytes += word + " 1 2\n";
  CHECK(folder.read(bytes).words() == words);
  CHECK(folder.read("11 2\n" + bytes).words() == words);
  // In a binary, up to the blank.
  bytes = "3 1\n";
  for (const std::string word : {"\xFF\xC0\x80", "a\tb", "\xEF\xBB\xBF"})
    bytes += word + " " + floats({1}) + "\n";
  CHECK(folder.read(bytes).words() == Words{"\xFF\xC0\x80", "a\tb", "\xEF\xBB\xBF"});
}

TEST_CASE("of words that come twice the first wins and the others are counted", "[word_vectors]") {
  const Folder folder;
  ReadReport report;
  for (const std::string& bytes : {std::string("a 1\nb 2\na 3\na 4\nc 5\n"),
                                   "5 1\na " + floats({1}) + "b " + floats({2}) + "a " +
                                       floats({3}) + "a " + floats({4}) + "c " + floats({5})}) {
    const WordVectors vectors = folder.read(bytes, {}, &report);
    CHECK(vectors.words() == Words{"a", "b", "c"});
    CHECK(vectors.vectors() == column({1, 2, 5}));
    CHECK(report.rows == 5);
    CHECK(report.duplicates == 2);
  }
}

TEST_CASE("the first words and the wanted ones are kept, and with neither all", "[word_vectors]") {
  const Folder folder;
  const std::string text = "a 1\nb 2\nc 3\nd 4\nc 9\n";
  std::string binary = "5 1\n";
  for (const char* word : {"a", "b", "c", "d", "c"})
    binary += std::string(word) + " " + floats({1});
  const auto wanted = [](std::string_view word) { return word == "c" || word == "a"; };
  for (const std::string& bytes : {text, "5 1\n" + text, binary}) {
    const auto words = [&](ReadOptions options, std::size_t rows, std::size_t duplicates) {
      ReadReport report;
      const Words kept = folder.read(bytes, options, &report).words();
      CHECK(report.rows == rows);
      CHECK(report.duplicates == duplicates);
      return kept;
    };
    CHECK(words({0, nullptr}, 5, 1) == Words{"a", "b", "c", "d"});
    CHECK(words({2, nullptr}, 2, 0) == Words{"a", "b"});
    CHECK(words({5, nullptr}, 5, 1) == Words{"a", "b", "c", "d"});
    CHECK(words({9, nullptr}, 5, 1) == Words{"a", "b", "c", "d"});
    CHECK(words({0, wanted}, 5, 1) == Words{"a", "c"});
    CHECK(words({2, wanted}, 5, 1) == Words{"a", "b", "c"});
  }
  const WordVectors none = folder.read(text, {0, [](std::string_view) { return false; }});
  CHECK(none.size() == 0);
  CHECK(none.dim() == 1);
  CHECK(none.nearest(Array{1}, 3).empty());
  CHECK(folder.read("0 4\n").dim() == 4);
  // With max_words alone the reader stops there, and does not see what follows.
  CHECK(folder.read("6 1\na 1\nb x\n", {1, nullptr}).size() == 1);
}

TEST_CASE("numbers are rounded correctly", "[word_vectors]") {
  const Folder folder;
  const auto nearest_real = [](const std::string& digits) {
    return sizeof(Real) == 4 ? Real(std::strtof(digits.c_str(), nullptr))
                             : Real(std::strtod(digits.c_str(), nullptr));
  };
  // Above a midpoint of floats by less than a double can hold: twice rounded, it would go down.
  Words numbers{"1.00000005960464477539062500000001",
                "0.1",
                "-0",
                "1e-50",
                "-1e-46",
                "1e-400",
                "4e-324",
                "1e-45",
                "1.4e-45",
                "1.7e38",
                "16777217",
                "9007199254740993",
                ".5",
                "5.",
                "0e99999",
                "-1.25E-3",
                "0" + std::string(500, '0') + ".1",
                "1." + std::string(900, '3')};
  Generator g(1);
  for (int i = 0; i < 300; ++i) {
    std::string digits = std::to_string(g.next()) + "e-" + std::to_string(g.below(40));
    numbers.push_back((g.below(2) ? "-" : "") + digits.insert(1, "."));
  }
  std::string bytes;
  for (const std::string& number : numbers) bytes += "w" + number + " " + number + "\n";
  const WordVectors vectors = folder.read(bytes);
  REQUIRE(vectors.size() == numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    INFO(numbers[i]);
    const Real expected = nearest_real(numbers[i]);
    CHECK(std::memcmp(vectors.vectors().data() + i, &expected, sizeof(Real)) == 0);
  }
}

TEST_CASE("what is at the edge of the reader's buffer is read whole", "[word_vectors]") {
  const Folder folder;
  // 40,000 rows of about 60 bytes, in a file of more than two buffers.
  std::string text, binary = "40000 9\n";
  Array table = empty({40000, 9});
  for (std::size_t i = 0; i < 40000; ++i) {
    const std::string word = "w" + std::to_string(i);
    text += word;
    std::vector<float> row(9);
    for (std::size_t k = 0; k < 9; ++k) {
      row[k] = float(i * 9 + k);
      table(i, k) = Real(row[k]);
      text += " " + std::to_string(i * 9 + k);
    }
    text += "\n";
    binary += word + " " + floats(row) + (i % 2 ? "\n" : "");
  }
  REQUIRE(text.size() > (2 << 20));
  REQUIRE(binary.size() > (1 << 20));
  CHECK(folder.read(text).vectors() == table);
  CHECK(folder.read("40000 9\n" + text).vectors() == table);
  CHECK(folder.read(binary).vectors() == table);
  CHECK(folder.read(binary).find("w39999") == 39999);
}

TEST_CASE("the limits of words, vectors and lines, and not one more", "[word_vectors]") {
  const Folder folder;
  const std::string word(1000, 'x');
  const auto rows = [](std::size_t n, const std::string& field) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += field;
    return text;
  };
  CHECK(folder.read(word + " 1\n").words() == Words{word});
  CHECK(folder.error(word + "x 1\n") == ":1: holds a word of more than 1000 bytes");
  CHECK(folder.read("1 1\n" + word + " " + floats({1})).words() == Words{word});
  CHECK(folder.error("1 1\n" + word + "x " + floats({1})) ==
        ": byte 4: holds a word of more than 1000 bytes; read as binary since line 2 is not a word "
        "and 1 numbers");
  CHECK(folder.read("w" + rows(100'000, " 1")).dim() == 100'000);
  CHECK(folder.error("w" + rows(100'001, " 1")) ==
        ":1: holds 100001 numbers after the word, at most 100000 are read");
  CHECK(folder.read("1 100000\nw " + rows(100'000, floats({1}))).dim() == 100'000);
  CHECK(folder.error("1 100001\nw" + rows(100'001, " 1")) ==
        ":1: announces vectors of 100001 numbers, 1 to 100000 are read");
  const std::string blanks((1 << 20) - 4, ' ');
  CHECK(folder.read("w" + blanks + "1\nv 2").size() == 2);
  CHECK(folder.read("v 2\nw " + blanks + "1\n").size() == 2);
  CHECK(folder.error("v 2\nw  " + blanks + "1\n") == ":2: is longer than 1048576 bytes");
  CHECK(folder.error(std::string(3 << 20, 'x')) == ":1: is longer than 1048576 bytes");
}

TEST_CASE("what the reader of word vectors refuses, and its words", "[word_vectors]") {
  const Folder folder;
  CHECK_THROWS_WITH(read_word_vectors(folder / "nowhere"),
                    folder / "nowhere" + ": cannot be opened: No such file or directory");
  CHECK_THROWS_WITH(read_word_vectors(folder / ""), folder / "" + ": must be a regular file");
  CHECK(folder.error("") == ": holds no word vectors");
  CHECK(folder.error("\n \n") == ": holds no word vectors");
  CHECK(folder.error("hello\n") ==
        ":1: holds 0 numbers after the word; a line is `word v1 ... vD`");
  CHECK(folder.error("a 1 2\n\nb 1\n") == ":3: holds 1 numbers after the word, not 2");
  CHECK(folder.error("a 1 2\nb\n") == ":2: holds 0 numbers after the word, not 2");
  CHECK(folder.error("a 1 2\nb 1 2 3\n") == ":2: holds more than 2 numbers after the word");
  for (const char* bad : {"nan", "-inf", "1e400", "0x10", "++1", "+-1", "+", "1.5.", "--1", "1e",
                          "e", "123456789012345678901x345"}) {
    INFO(bad);
    CHECK(folder.error(std::string("a 1 2\nb 1 ") + bad + "\n") ==
          ":2: '" + std::string(bad) + "' is not a finite number");
  }
  CHECK(folder.error(std::string("a 1 2\nb 1 2\0\n", 13)) == ":2: '2?' is not a finite number");
  if (sizeof(Real) == 4) {
    CHECK(folder.error("a 3.5e38\n") == ":1: '3.5e38' is not a finite number");
    CHECK(folder.error("a 2e38\n") ==
          ": word_vectors: lengths must be at most 1.70141e+38, got 2e+38 for 'a'");
  } else {
    CHECK(folder.error("a 1e200\n") ==
          ": word_vectors: lengths must be at most 8.98847e+307, got inf for 'a'");
  }

  CHECK(folder.error("a 1 2\nb 1 1,5\n") ==
        ":2: '1,5' is not a finite number; decimals have a point, not a comma, and blanks or tabs "
        "between them");
  CHECK(folder.error("a 1 2\rb 1 2\r") ==
        ":1: '2?b' is not a finite number; lines end in \\n or \\r\\n, not in \\r alone");
  CHECK(folder.error("a,0.5,1\nb,1,2\n") ==
        ":1: has no blanks or tabs: where it is CSV, put them in place of its commas");

  CHECK(folder.error("3 2\na 1 2\nb 1 2\n") == ":1: announces 3 vectors, the file holds 2");
  CHECK(folder.error("1 2\na 1 2\nb 1 2\n") == ":1: announces 1 vectors, the file holds 2");
  CHECK(folder.error("0 2\na 1 2\n") == ":1: announces 0 vectors, the file holds 1");
  CHECK(folder.error("2 2\na 1 2\nb 1 2 3\n") == ":3: holds more than 2 numbers after the word");
  CHECK(folder.error("2 0\na 1 2\n") == ":1: announces vectors of 0 numbers, 1 to 100000 are read");
  CHECK(folder.error("400000 300\na 1 2\n") ==
        ":1: announces 400000 vectors of 300 numbers, more than the file's 17 bytes can hold");
  CHECK(folder.error("99999999999999999999999 1\na 1\n") ==
        ":1: announces 18446744073709551615 vectors of 1 numbers, more than the file's 30 bytes "
        "can hold");
  CHECK(folder.error("1 99999999999999999999999\na 1\n") ==
        ":1: announces vectors of 18446744073709551615 numbers, 1 to 100000 are read");

  const std::string hint = "; read as binary since line 2 is not a word and 2 numbers";
  const std::string a = "a " + floats({1, 2}), b = "b " + floats({3, 4});
  CHECK(folder.error("2 2\n" + a + "\n") == ": byte 15: the file ends in vector 2 of 2" + hint);
  CHECK(folder.error("2 2\n" + a + b.substr(0, 9)) ==
        ": byte 14: the file ends in vector 2 of 2" + hint);
  CHECK(folder.error("2 2\n" + a + "bcdefghij") ==
        ": byte 14: the file ends in vector 2 of 2" + hint);
  CHECK(folder.error("1 2\n" + a + b) ==
        ": byte 14: more bytes after the last of 1 vectors" + hint);
  CHECK(folder.error("1 2\n" + a + "\n\n") ==
        ": byte 15: more bytes after the last of 1 vectors" + hint);
  CHECK(folder.error("2 2\n" + a + " " + floats({3, 4})) ==
        ": byte 14: holds no word before the blank" + hint);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    CHECK(folder.error("2 2\n" + a + "b " + floats({3, bad})) ==
          ": byte 20: 'b' has a number that is not finite" + hint);
  }
  // A text whose first line does not fit its header is told by the hint.
  CHECK(folder.error("2 2\na 1 2 3\nb 1 2 3\n") ==
        ": byte 14: the file ends in vector 2 of 2" + hint);
}

TEST_CASE("a row whose word is a blank is skipped and counted", "[word_vectors]") {
  const Folder folder;
  for (const std::string& bytes : {std::string("a 1 2 3\n  0.1 0.2 0.3\n 4 5 6\nb 7 8 9\n"),
                                   std::string("4 3\na 1 2 3\n\t 0.1 0.2 0.3\n 4 5 6\nb 7 8 9\n"),
                                   std::string("4 3\n  0.1 0.2 0.3\n 4 5 6\r\na 1 2 3\nb 7 8 9")}) {
    INFO(bytes);
    ReadReport report;
    const WordVectors vectors = folder.read(bytes, {}, &report);
    CHECK(vectors.words() == Words{"a", "b"});
    CHECK((vectors.vectors() == Array{{1, 2, 3}, {7, 8, 9}}));
    CHECK(report.rows == 4);
    CHECK(report.skipped == 2);
    CHECK(report.duplicates == 0);
  }
  // A word may be missing only where a blank stands for it.
  CHECK(folder.error("a 1 2 3\n4 5 6\n") == ":2: holds 2 numbers after the word, not 3");
  CHECK(folder.error("a 1 2 3\n 5 6\n") == ":2: holds 1 numbers after the word, not 3");
}

TEST_CASE("a plus before a number is read", "[word_vectors]") {
  const Folder folder;
  const WordVectors vectors = folder.read("a +0.5 +1\nb +1e-3 2\n");
  CHECK((vectors.vectors() == Array{{0.5, 1}, {1e-3, 2}}));
}

TEST_CASE("files of other formats are named, with what to do", "[word_vectors]") {
  const Folder folder;
  const std::string rest(600, '\1');
  const std::vector<std::pair<std::string, std::string>> foreign{
      {"\x1F\x8B\x08", ": is compressed: run gunzip on it first"},
      {"BZh91AY&SY", ": is compressed: run bunzip2 on it first"},
      {std::string("\xFD\x37zXZ\0", 6), ": is compressed: run unxz on it first"},
      {"\x28\xB5\x2F\xFD", ": is compressed: run unzstd on it first"},
      {"7z\xBC\xAF\x27\x1C", ": is an archive: run 7z x on it first, and give a file of it"},
      {"PK\3\4", ": is a zip archive: run unzip on it first"},
      {"PK\3\4", "an .npz of numpy or a model of PyTorch, write its vectors as text"},
      {"\xBA\x16\x4F\x2F\x0C", ": is a model of fastText: give the .vec file beside it"},
      {"\x93NUMPY\1", ": is an array of numpy, which has no words: write text"},
      {"\x89HDF\r\n\x1A\n", ": is an HDF5 file: write its vectors as text"},
      {std::string("SQLite format 3\0", 16), ": is an SQLite database: write its vectors as text"},
      {"PAR1\x15", ": is a Parquet file: write its vectors as text"},
      {std::string("ARROW1\0", 7), ": is an Arrow file: write its vectors as text"},
      {"\x80\2}", ": is a pickle of Python: if it is a model of gensim"},
      {"\x80\5\x95", ": is a pickle of Python: if it is a model of gensim"},
      {std::string("\xFF\xFE"
                   "5\0",
                   4),
       ": is UTF-16: run iconv -f UTF-16 -t UTF-8 on it first"},
      {std::string("\xFE\xFF\0"
                   "5",
                   4),
       ": is UTF-16: run iconv -f UTF-16 -t UTF-8 on it first"},
      {"version https://git-lfs.github.com/spec/v1\n", ": stands for a file of Git LFS"},
      {"<!DOCTYPE html>\n<html>\n", ": is a web page: the download went wrong"},
      {"<html>\n", ": is a web page: the download went wrong"},
      {std::string("glove.txt") + std::string(248, '\0') + "ustar", ": is a tar archive: run tar"},
      {std::string("\x40\0\0\0\0\0\0\0{\"w\":", 13),
       ": is a safetensors file, which has no words"}};
  for (const auto& [magic, text] : foreign)
    CHECK_THAT(folder.error(magic + rest), ContainsText(text));
}

TEST_CASE("any bytes give word vectors or an error of ours", "[word_vectors]") {
  const Folder folder;
  const std::string rows = "the 1 -0.5 0.25\nNew York 0 3 1e-3\n\xFF\x80 7 8 9\n";
  const std::string text = "3 3\n" + rows;
  std::string binary = "3 3\n";
  for (const std::string word : {"the", "film", "\xFF\x80"})
    binary += word + " " + floats({1, -0.5f, 0.25f}) + "\n";
  Generator g(5);
  const std::string letters = "0123456789 \n\r\t.-einfa\xEF\xBB\xBF\xFF" + std::string(1, '\0');
  int refused = 0, read_well = 0;
  for (const std::string& good : {rows, text, binary}) {
    const auto attempt = [&](const std::string& bytes) {
      ++(folder.error(bytes) == "read without an error" ? read_well : refused);
    };
    for (std::size_t length = 0; length < good.size(); ++length) attempt(good.substr(0, length));
    for (int round = 0; round < 1500; ++round) attempt(tests::damaged(good, letters, g));
  }
  CHECK(refused > 1000);
  CHECK(read_well > 500);
}

// ---- words and their neighbours ----

TEST_CASE("words are found among many", "[word_vectors]") {
  Words words;
  for (int i = 0; i < 5000; ++i) words.push_back(std::to_string(i * 7919));
  const WordVectors vectors(words, full({5000, 1}, 1));
  for (std::size_t i = 0; i < words.size(); ++i) CHECK(vectors.find(words[i]) == i);
  CHECK_FALSE(vectors.find("1").has_value());
  CHECK_FALSE(vectors.find("").has_value());
  CHECK_FALSE(WordVectors({}, empty({0, 3})).find("1").has_value());
}

TEST_CASE("similarity, nearest and analogy by hand", "[word_vectors]") {
  const WordVectors vectors({"east", "north", "northeast", "west", "far east", "nowhere"},
                            {{1, 0}, {0, 2}, {3, 3}, {-1, 0}, {100, 0}, {0, 0}});
  const double half = std::sqrt(0.5);
  CHECK_THAT(vectors.similarity("east", "northeast"), WithinRel(half, 1e-6));
  CHECK_THAT(vectors.similarity("north", "northeast"), WithinRel(half, 1e-6));
  CHECK(vectors.similarity("east", "north") == 0);
  CHECK(vectors.similarity("east", "west") == -1);
  CHECK(vectors.similarity("far east", "east") == 1);
  CHECK(vectors.similarity("nowhere", "east") == 0);
  CHECK(vectors.similarity("nowhere", "nowhere") == 0);

  CHECK(text_of(vectors.nearest("east", 2)) == "far east 1; northeast 0.707; ");
  CHECK(text_of(vectors.nearest("east", 9)) ==
        "far east 1; northeast 0.707; north 0; nowhere 0; west -1; ");
  CHECK(vectors.nearest("east", 0).empty());
  CHECK(text_of(vectors.nearest("nowhere", 2)) == "east 0; north 0; ");
  // Of a vector nothing is left out, and equals come in the order of their rows.
  CHECK(text_of(vectors.nearest(Array{7, 0}, 3)) == "east 1; far east 1; northeast 0.707; ");
  CHECK(text_of(vectors.nearest(Array{0, 0}, 2)) == "east 0; north 0; ");
  // Directions, not lengths: north - far east + west points to (-2, 1).
  CHECK(text_of(vectors.analogy("far east", "north", "west", 2)) ==
        "nowhere 0; northeast -0.316; ");
  CHECK(text_of(vectors.analogy("east", "west", "north", 9)) ==
        "nowhere 0; northeast -0.316; far east -0.894; ");
}

TEST_CASE("nearest agrees with one cosine after another", "[word_vectors]") {
  Generator g(2);
  Words words;
  for (int i = 0; i < 500; ++i) words.push_back("w" + std::to_string(i));
  const WordVectors vectors(words, normal({500, 7}, g));
  std::vector<std::pair<double, std::string>> expected;
  for (const std::string& word : words) {
    if (word != "w77") expected.emplace_back(-vectors.similarity("w77", word), word);
  }
  std::sort(expected.begin(), expected.end());
  const std::vector<WordVectors::Neighbour> neighbours = vectors.nearest("w77", 499);
  REQUIRE(neighbours.size() == 499);
  for (std::size_t i = 0; i < 499; ++i) {
    CHECK(neighbours[i].word == expected[i].second);
    CHECK_THAT(neighbours[i].similarity, WithinAbs(-expected[i].first, 1e-6));
  }
}

TEST_CASE("cosines of very long and very short vectors", "[word_vectors]") {
  const Real large = std::numeric_limits<Real>::max() / 4 / (sizeof(Real) == 4 ? 1 : Real(1e160)),
             small = std::numeric_limits<Real>::min() * (sizeof(Real) == 4 ? 1 : Real(1e160));
  const WordVectors vectors({"large", "small", "both"},
                            {{large, large}, {small, small}, {large, small}});
  CHECK(text_of(vectors.nearest("large", 2)) == "small 1; both 0.707; ");
  CHECK(text_of(vectors.nearest("small", 2)) == "large 1; both 0.707; ");
  CHECK(text_of(vectors.nearest(Array{large, small}, 1)) == "both 1; ");
}

TEST_CASE("what word vectors refuse, and their words", "[word_vectors]") {
  const WordVectors vectors({"a", "b"}, {{1, 2}, {3, 4}});
  const Array two = full({2, 2}, 1);
  CHECK(error_of([&] {
          WordVectors({"a", "b", "c"}, two);
        }) == "word_vectors: 3 words need vectors [3, D], got [2, 2]");
  CHECK(error_of([&] {
          WordVectors({"a", "b"}, full({2}, 1));
        }) == "word_vectors: 2 words need vectors [2, D], got [2]");
  CHECK(error_of([&] {
          WordVectors({"a", "b"}, full({2, 0}, 1));
        }) == "word_vectors: 2 words need vectors [2, D], got [2, 0]");
  CHECK(error_of([&] {
          WordVectors({"a", "a"}, two);
        }) == "word_vectors: words must be distinct, got 'a' again at 1");
  const Real nan = std::numeric_limits<Real>::quiet_NaN();
  CHECK_THAT(error_of([&] {
               WordVectors({"a", "b"}, {{1, 2}, {nan, 1}});
             }),
             ContainsText("word_vectors: lengths must be at most") && ContainsText("for 'b'"));
  CHECK_THROWS_AS(WordVectors({"a"}, {{std::numeric_limits<Real>::max(), 0}}),
                  std::invalid_argument);

  CHECK(error_of([&] { vectors.similarity("a", "c"); }) ==
        "similarity: 'c' is not among the 2 words");
  CHECK(error_of([&] { vectors.nearest("c", 1); }) == "nearest: 'c' is not among the 2 words");
  CHECK(error_of([&] { vectors.analogy("a", "b", "c", 1); }) ==
        "analogy: 'c' is not among the 2 words");
  CHECK_THROWS_AS(vectors.nearest("c", 1), std::out_of_range);
  CHECK(error_of([&] {
          vectors.nearest(Array{1, 2, 3}, 1);
        }) == "nearest: the vector must be [2], got [3]");
  CHECK(error_of([&] {
          vectors.nearest(Array{{1, 2}}, 1);
        }) == "nearest: the vector must be [2], got [1, 2]");
  CHECK(error_of([&] {
          vectors.nearest(Array{1, std::numeric_limits<Real>::infinity()}, 1);
        }) == "nearest: the vector's length must be finite, got inf");
}

// ---- writing ----

TEST_CASE("text that was written is read as the same numbers", "[word_vectors]") {
  const Folder folder;
  Generator g(3);
  Array table = normal({40, 5}, g);
  for (std::size_t i = 0; i < table.size(); ++i) {
    table.data()[i] *= Real(std::pow(10.0, double(g.below(70)) - 40));
  }
  table(0, 0) = std::numeric_limits<Real>::denorm_min();
  table(0, 1) = Real(-0.0);
  table(0, 2) = Real(0.1);
  table(0, 3) = 1 + std::numeric_limits<Real>::epsilon();
  Words words{"\xFF\xC0", "17", "nan", "\xEF\xBB\xBF"};
  while (words.size() < 40) words.push_back("w" + std::to_string(words.size()));
  const WordVectors vectors(words, table);
  save_word2vec_text(folder / "text", vectors);
  ReadReport report;
  const WordVectors back = read_word_vectors(folder / "text", {}, &report);
  CHECK(report.format == "word2vec text");
  CHECK(back.words() == words);
  CHECK(std::memcmp(back.vectors().data(), table.data(), table.size() * sizeof(Real)) == 0);

  save_word2vec_binary(folder / "binary", vectors);
  const WordVectors rounded = read_word_vectors(folder / "binary", {}, &report);
  CHECK(report.format == "word2vec binary");
  CHECK(rounded.words() == words);
  for (std::size_t i = 0; i < table.size(); ++i)
    CHECK(rounded.vectors().data()[i] == Real(float(table.data()[i])));
  CHECK(folder.files() == 2);

  save_word2vec_text(folder / "text", WordVectors({}, empty({0, 4})));
  CHECK(read_word_vectors(folder / "text").dim() == 4);
}

TEST_CASE("a binary whose floats look like text is read as it was written", "[word_vectors]") {
  const Folder folder;
  const auto number = [](const char* bytes) {
    float x;
    std::memcpy(&x, bytes, sizeof(x));
    return Real(x);
  };
  // Of one row and of two; numbers that end in blanks or a line end; a row without a word.
  const std::vector<WordVectors> all{
      {{"a"}, column({number("1.50")})},           {{"a"}, column({number("+1.5")})},
      {{"a"}, column({number("1.5\n")})},          {{"a"}, column({number("   7")})},
      {{"a"}, {{number("1 2 "), number(" 3 4")}}}, {{"a", "b"}, column({number("1.50"), 2})},
      {{"a", "b"}, column({3, number("1.50")})},   {{"a"}, {{number("1.50"), number(" 2.5")}}}};
  for (const WordVectors& vectors : all) {
    save_word2vec_binary(folder / "file", vectors);
    INFO(bytes_of(folder / "file"));
    ReadReport report;
    const WordVectors back = read_word_vectors(folder / "file", {}, &report);
    CHECK(report.format == "word2vec binary");
    CHECK(back.words() == vectors.words());
    REQUIRE(back.vectors().size() == vectors.vectors().size());
    CHECK(std::memcmp(back.vectors().data(), vectors.vectors().data(),
                      back.vectors().size() * sizeof(Real)) == 0);
  }
  save_word2vec_binary(folder / "file", all[0]);
  CHECK(bytes_of(folder / "file") == "01 1\na 1.50\n");
  CHECK(folder.read("1 1\na 1.50\n").vectors()(0, 0) == Real(1.5));  // by others: text
}

TEST_CASE("the bytes of the files of word vectors", "[word_vectors]") {
  const Folder folder;
  const WordVectors vectors({"a", "\xC3\xA9"}, {{1, -0.5, 0.25}, {0, 3, 1e5}});
  save_word2vec_text(folder / "file", vectors);
  CHECK(bytes_of(folder / "file") == "2 3\na 1 -0.5 0.25\n\xC3\xA9 0 3 1e+05\n");
  save_word2vec_binary(folder / "file", vectors);
  CHECK(bytes_of(folder / "file") ==
        "2 3\na " + floats({1, -0.5f, 0.25f}) + "\n\xC3\xA9 " + floats({0, 3, 1e5f}) + "\n");
  save_projector(folder / "vectors.tsv", folder / "words.tsv",
                 WordVectors({"a", "New York"}, vectors.vectors()));
  CHECK(bytes_of(folder / "vectors.tsv") == "1\t-0.5\t0.25\n0\t3\t1e+05\n");
  CHECK(bytes_of(folder / "words.tsv") == "a\nNew York\n");
  CHECK(folder.files() == 3);
}

TEST_CASE("a long file is written whole", "[word_vectors]") {
  const Folder folder;
  Generator g(4);
  Words words;
  for (int i = 0; i < 30000; ++i) words.push_back(std::to_string(i) + "th");
  const WordVectors vectors(words, uniform({30000, 12}, -1, 1, g));
  save_word2vec_text(folder / "file", vectors);
  CHECK(fs::file_size(folder / "file") > (2 << 20));
  const WordVectors back = read_word_vectors(folder / "file");
  CHECK(back.words() == words);
  CHECK(back.vectors() == vectors.vectors());
}

TEST_CASE("word vectors that no file can hold leave the old one", "[word_vectors]") {
  const Folder folder;
  const std::string path = folder / "file", other = folder / "other";
  save_word2vec_text(path, WordVectors({"old"}, column({1})));
  const std::string before = bytes_of(path);
  for (const std::string& word : {std::string(), std::string("New York"), std::string("a\tb"),
                                  std::string("a\n"), std::string("a\r"), std::string(1001, 'x')}) {
    const WordVectors bad({"good", word}, column({1, 2}));
    const std::string rest =
        ": words must be of 1 to 1000 bytes without blanks or line ends, got " + in_quotes(word);
    CHECK(error_of([&] { save_word2vec_text(path, bad); }) == "save_word2vec_text" + rest);
    CHECK(error_of([&] { save_word2vec_binary(path, bad); }) == "save_word2vec_binary" + rest);
    if (word == "New York") continue;
    CHECK(error_of([&] { save_projector(path, other, bad); }) ==
          "save_projector: words must be of 1 to 1000 bytes without tabs or line ends, got " +
              in_quotes(word));
  }
  if (sizeof(Real) == 8) {
    CHECK(error_of([&] { save_word2vec_binary(path, WordVectors({"a"}, column({Real(1e39)}))); }) ==
          "save_word2vec_binary: numbers must be in the range of float, got 1e+39");
  }
  const WordVectors wide({"a"}, full({1, 100'001}, 1)),
      digits({"a"}, full({1, 100'000}, Real(-1) / 3));
  CHECK(error_of([&] { save_word2vec_text(path, wide); }) ==
        "save_word2vec_text: vectors must be of at most 100000 numbers, got 100001");
  CHECK(error_of([&] { save_word2vec_binary(path, wide); }) ==
        "save_word2vec_binary: vectors must be of at most 100000 numbers, got 100001");
  CHECK_THAT(error_of([&] { save_word2vec_text(path, digits); }),
             ContainsText("save_word2vec_text: a line must be of at most 1048576 bytes, got "));
  const WordVectors good({"new"}, column({2}));
  CHECK_THROWS_WITH(save_word2vec_text(folder / "no/file", good),
                    ContainsText("no/file: cannot be written: "));
  // The second of two files fails: the first is as it was.
  CHECK_THROWS_WITH(save_projector(path, folder / "no/file", good),
                    ContainsText("no/file: cannot be written: "));
  fs::create_directories(folder / "taken/full");
  CHECK_THROWS_WITH(save_projector(path, folder / "taken", good),
                    ContainsText("taken: is a directory, not a file"));
  CHECK(bytes_of(path) == before);
  CHECK(folder.files() == 2);
}

// ---- into a table ----

TEST_CASE("a table is filled by its words, and what was missing is told", "[word_vectors]") {
  const WordVectors vectors({"a", "b", "c"}, {{1, 2}, {3, 4}, {100, 100}});
  const Words rows{"", "b", "x", "a", "b", "y"};
  const auto fill = [&](MissingRows missing) {
    Generator g(1);
    Array table = full({6, 2}, 9);
    const Coverage coverage = fill_table(table, rows, vectors, g, missing);
    CHECK(coverage.found == 3);
    CHECK(coverage.missing == 2);
    CHECK(table(0, 0) == 9);  // padding
    for (std::size_t k = 0; k < 2; ++k) {
      CHECK(table(1, k) == vectors.vectors()(1, k));
      CHECK(table(3, k) == vectors.vectors()(0, k));
      CHECK(table(4, k) == vectors.vectors()(1, k));
    }
    return std::pair(table, coverage.missing_rows);
  };
  const auto [kept, kept_text] = fill(MissingRows::kKeep);
  CHECK(kept_text == "kept");
  CHECK((kept(2, 0) == 9 && kept(2, 1) == 9 && kept(5, 0) == 9 && kept(5, 1) == 9));
  const auto [zero, zero_text] = fill(MissingRows::kZero);
  CHECK(zero_text == "set to zero");
  CHECK((zero(2, 0) == 0 && zero(2, 1) == 0 && zero(5, 0) == 0 && zero(5, 1) == 0));
  const auto [drawn, drawn_text] = fill(MissingRows::kNormal);
  CHECK(drawn_text == "drawn from N(0, 3.02765^2)");  // (1 + 4 + 2 * (9 + 16)) / 6 = 3.02765^2
  Generator g(1);
  const double spread = std::sqrt(55 / 6.0);
  CHECK_THAT(double(drawn(2, 0)), WithinRel(spread * g.normal(), 1e-6));
  CHECK_THAT(double(drawn(2, 1)), WithinRel(spread * g.normal(), 1e-6));
  CHECK_THAT(double(drawn(5, 0)), WithinRel(spread * g.normal(), 1e-6));
}

TEST_CASE("a table none of whose words is found starts as an embedding does", "[word_vectors]") {
  const WordVectors vectors({"a"}, {{1, 2}});
  Generator g(1), same(1);
  Array table = full({2, 2}, 9);
  const Coverage coverage = fill_table(table, {"x", "y"}, vectors, g);
  CHECK(coverage.missing_rows == "drawn from N(0, 1^2)");
  const Array expected = normal({2, 2}, same);
  CHECK((table == expected));

  const Array before = table;
  CHECK(error_of([&] { fill_table(table, {"a"}, vectors, g); }) ==
        "fill_table: 1 words with vectors of 2 need a table [1, 2], got [2, 2]");
  CHECK(error_of([&] {
          fill_table(table, {"a", "b"}, WordVectors({"a"}, column({1})), g);
        }) == "fill_table: 2 words with vectors of 1 need a table [2, 1], got [2, 2]");
  CHECK((table == before));
}

// ---- files of others ----

TEST_CASE("vectors of GloVe, fastText and word2vec", "[word_vectors]") {
  const std::string folder = std::string(GRADWALK_SHARED_DIR) + "/data/vectors/";
  if (!fs::exists(folder)) {
    std::cout << "skipped: there is no " << folder << '\n';
    return;
  }
  ReadReport report;
  const WordVectors glove = read_word_vectors(folder + "glove.6B.100d.mr_vocab.txt", {}, &report);
  CHECK(report.format == "GloVe text");
  CHECK(report.rows == 18008);
  CHECK(glove.size() == 18008);
  CHECK(glove.dim() == 100);
  CHECK(text_of(glove.nearest("movie", 2)) == "film 0.906; movies 0.896; ");
  CHECK(text_of(glove.nearest("terrible", 2)) == "horrible 0.919; awful 0.874; ");
  CHECK(text_of(glove.nearest("good", 1)) == "better 0.893; ");
  const std::string boring = text_of(glove.nearest("boring", 4));
  CHECK_THAT(boring, ContainsText("dull 0.699; ") && ContainsText("tedious 0.723; "));
  CHECK(glove.analogy("man", "king", "woman", 1)[0].word == "queen");

  CHECK(read_word_vectors(folder + "test_glove.txt", {}, &report).dim() == 50);
  CHECK((report.format == "GloVe text" && report.rows == 76));
  const WordVectors fast_text = read_word_vectors(folder + "lee_fasttext.vec", {}, &report);
  CHECK((report.format == "word2vec text" && report.rows == 1762 && fast_text.dim() == 10));
  CHECK(fast_text.vectors()(0, 0) == Real(-0.65992));
  const WordVectors binary = read_word_vectors(folder + "euclidean_vectors.bin", {}, &report);
  CHECK((report.format == "word2vec binary" && report.rows == 2747 && binary.dim() == 10));
  CHECK((binary.words()[0] == "the" && binary.words()[2746] == "fly"));
}

// ---- docs/word-vectors.md ----

TEST_CASE("the code of the page on word vectors", "[word_vectors]") {
  const Folder folder;
  const std::string path = folder / "vectors";
  std::ofstream(path) << "king 1 1\nman 1 0\nwoman -1 0\nqueen -1 1\nmovie 1 2\n";
  const Words row_words{"", "movie", "film"};
  Generator generator(1);
  const Embedding embedding(3, 2, generator);

  const WordVectors vectors = read_word_vectors(path);
  const auto like = vectors.nearest("movie", 3);  // {word, similarity}, the most similar first
  // man is to king as woman is to ...
  const auto queen = vectors.analogy("man", "king", "woman", 1);
  CHECK(text_of(like) == "king 0.949; man 0.447; queen 0.316; ");
  CHECK(queen[0].word == "queen");

  const Tensor table(vectors.vectors(), true);  // true: train it
  const auto lookup = [&](const std::vector<std::string>& words) {
    Indices ids = empty<Indices>({words.size()});
    for (std::size_t i = 0; i < words.size(); ++i) ids(i) = std::int64_t(*vectors.find(words[i]));
    return gather_rows(table, ids);  // [words, D]
  };
  CHECK((lookup({"movie", "man", "movie"}).value() == Array{{1, 2}, {1, 0}, {1, 2}}));

  const std::set<std::string, std::less<>> vocabulary(row_words.begin(), row_words.end());
  ReadOptions options;
  options.wanted = [&](std::string_view word) { return vocabulary.count(word) > 0; };
  const WordVectors known = read_word_vectors(path, options);

  Tensor weight = embedding.weight();
  const Coverage coverage = fill_table(weight.mutable_value(), row_words, known, generator);
  CHECK(known.words() == Words{"movie"});
  CHECK((coverage.found == 1 && coverage.missing == 1));
  CHECK((embedding(Indices{1}).value() == Array{{1, 2}}));

  // The page holds these very lines.
  const std::string here =
      bytes_of(std::string(GRADWALK_SOURCE_DIR) + "/tests/test_word_vectors.cpp");
  std::ifstream page(std::string(GRADWALK_SOURCE_DIR) + "/docs/word-vectors.md");
  std::size_t lines = 0;
  bool code = false;
  for (std::string line; std::getline(page, line);) {
    if (line.substr(0, 3) == "```") {
      code = line == "```cpp";
    } else if (code) {
      INFO(line);
      CHECK(here.find(line + "\n") != std::string::npos);
      ++lines;
    }
  }
  CHECK(lines > 10);
}

TEST_CASE("a search for an absent word ends, however many words there are", "[word_vectors]") {
  alarm(60);  // a search without end must not hang the tests
  Words words;
  for (int n = 0; n < 70; ++n) {
    CHECK_FALSE(WordVectors(words, full({words.size(), 1}, 1)).find("absent").has_value());
    words.push_back(std::to_string(n));
  }
  alarm(0);
}
