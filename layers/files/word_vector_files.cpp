// The files of word vectors.
#include <sys/mman.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <locale>
#include <memory>
#include <new>
#include <sstream>

#include "core/error.hpp"
#include "core/file.hpp"
#include "core/machine/memory.hpp"
#include "core/text.hpp"
#include "layers/files/word_vectors.hpp"

namespace gradwalk {
namespace {

constexpr std::size_t kMaxWord = 1000, kMaxDim = 100'000;
constexpr std::size_t kBuffer = 1 << 20;  // bytes; a line must fit in

// A file behind one buffer, so that memory stays bounded whatever the file holds.
class Input {
 public:
  explicit Input(const std::string& path)
      : file_(open_to_read(path)), size_(file_.size()), buffer_(new char[kBuffer]) {}

  std::uint64_t size() const { return size_; }
  std::uint64_t position() const { return position_; }

  // What comes next: n bytes or more, n <= kBuffer; fewer only at the end of the file. Good until
  // the next look.
  std::string_view look(std::size_t n) {
    if (end_ - begin_ < n) {
      std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      while (end_ < n) {
        const std::size_t got = file_.read_some(buffer_.get() + end_, kBuffer - end_);
        if (got == 0) break;
        end_ += got;
      }
    }
    return {buffer_.get() + begin_, end_ - begin_};
  }

  // The next line with its \n; without one it is the file's last, or kBuffer bytes of a longer
  // one. Empty at the end of the file.
  std::string_view look_at_line() {
    std::string_view ahead = look(1);
    std::size_t end = ahead.find('\n');
    if (end == std::string_view::npos) {
      ahead = look(kBuffer);
      end = ahead.find('\n');
    }
    return ahead.substr(0, end == std::string_view::npos ? end : end + 1);
  }

  void skip(std::size_t n) {
    begin_ += n;
    position_ += n;
  }

 private:
  File file_;
  std::uint64_t size_, position_ = 0;
  std::unique_ptr<char[]> buffer_;   // not written yet: most files need a part of it
  std::size_t begin_ = 0, end_ = 0;  // what of the buffer is still to come
};

// Rows that arrive one by one, their count unknown. They are kept in blocks, so that growing copies
// nothing, and each block is given back as soon as it is copied into the table, so that there never
// are two tables. The blocks are the system's own pages: free() might keep them.
class Rows {
 public:
  explicit Rows(std::size_t dim)
      : dim_(dim), block_rows_(std::max<std::size_t>(1, kBuffer / (dim * sizeof(Real)))) {}

  // Room for one more row, which keep() makes part of the table.
  Real* spare() {
    if (size_ == blocks_.size() * block_rows_) {
      const std::size_t bytes = block_rows_ * dim_ * sizeof(Real);
      void* pages =
          ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (pages == MAP_FAILED) throw OutOfMemory(bytes);
      blocks_.push_back(Block(static_cast<Real*>(pages), Unmap{bytes}));
    }
    return blocks_.back().get() + size_ % block_rows_ * dim_;
  }
  void keep() { ++size_; }

  Array join() {
    Array table = empty({size_, dim_});
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const std::size_t first = i * block_rows_, n = std::min(block_rows_, size_ - first);
      std::copy_n(blocks_[i].get(), n * dim_, table.data() + first * dim_);
      blocks_[i].reset();
    }
    return table;
  }

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(Real* pages) const { ::munmap(pages, bytes); }
  };
  using Block = std::unique_ptr<Real, Unmap>;

  std::size_t dim_, block_rows_, size_ = 0;
  std::vector<Block> blocks_;
};

// The rows of a file, of which it keeps those that were asked for.
class Collector {
 public:
  Collector(const ReadOptions& options, std::size_t dim)
      : options_(options), all_(options.max_words == 0 && !options.wanted), vectors_(dim) {}

  Real* spare() { return vectors_.spare(); }
  // Spare holds the vector of `word`.
  void add(std::string_view word) {
    ++report_.rows;
    if (!all_ && report_.rows > options_.max_words && !(options_.wanted && options_.wanted(word)))
      return;
    words_.emplace_back(word);
    if (index_.add(words_, words_.size() - 1)) {
      vectors_.keep();
    } else {
      words_.pop_back();
      ++report_.duplicates;
    }
  }
  // A row of the file that has no word.
  void skip() { ++report_.rows, ++report_.skipped; }
  // Nothing that follows will be kept.
  bool full() const {
    return options_.max_words > 0 && !options_.wanted && report_.rows >= options_.max_words;
  }
  std::size_t rows() const { return report_.rows; }

  WordVectors finish(const std::string& path, const char* format, ReadReport* report) {
    report_.format = format;
    index_ = WordIndex();  // before there is another
    try {
      WordVectors vectors(std::move(words_), vectors_.join());
      if (report) *report = report_;
      return vectors;
    } catch (const std::invalid_argument& e) {  // numbers so great that lengths overflow
      throw FileError(message(path, ": ", e.what()));
    }
  }

 private:
  const ReadOptions& options_;
  bool all_;
  std::vector<std::string> words_;
  WordIndex index_;
  Rows vectors_;
  ReadReport report_;
};

// ---- what is no file of word vectors ----

// Refuses what is known by its first bytes, and says what to do with it.
void refuse_foreign(const std::string& path, Input& in) {
  using namespace std::string_view_literals;
  static constexpr std::pair<std::string_view, const char*> kForeign[] = {
      {"\x1F\x8B"sv, "is compressed: run gunzip on it first"},
      {"BZh91AY&SY"sv, "is compressed: run bunzip2 on it first"},
      {"\xFD\x37zXZ\0"sv, "is compressed: run unxz on it first"},
      {"\x28\xB5\x2F\xFD"sv, "is compressed: run unzstd on it first"},
      {"7z\xBC\xAF\x27\x1C"sv, "is an archive: run 7z x on it first, and give a file of it"},
      {"PK\3\4"sv,
       "is a zip archive: run unzip on it first, and give a file of it; if it is an .npz of numpy "
       "or a model of PyTorch, write its vectors as text, a line `word v1 ... vD` each"},
      {"\xBA\x16\x4F\x2F"sv,
       "is a model of fastText: give the .vec file beside it, or what `fasttext "
       "print-word-vectors` writes"},
      {"\x93NUMPY"sv,
       "is an array of numpy, which has no words: write text, a line `word v1 ... vD` each"},
      {"\x89HDF\r\n"sv, "is an HDF5 file: write its vectors as text, a line `word v1 ... vD` each"},
      {"SQLite format 3\0"sv,
       "is an SQLite database: write its vectors as text, a line `word v1 ... vD` each"},
      {"PAR1\x15"sv, "is a Parquet file: write its vectors as text, a line `word v1 ... vD` each"},
      {"ARROW1\0"sv, "is an Arrow file: write its vectors as text, a line `word v1 ... vD` each"},
      {"\xFF\xFE"sv, "is UTF-16: run iconv -f UTF-16 -t UTF-8 on it first"},
      {"\xFE\xFF"sv, "is UTF-16: run iconv -f UTF-16 -t UTF-8 on it first"},
      {"version https://git-lfs"sv, "stands for a file of Git LFS: run git lfs pull"},
      {"<!DOCTYPE"sv, "is a web page: the download went wrong"},
      {"<html"sv, "is a web page: the download went wrong"}};
  const std::string_view head = in.look(512).substr(0, 512);
  for (const auto& [magic, what] : kForeign)
    check<FileError>(head.substr(0, magic.size()) != magic, path, ": ", what);
  check<FileError>(head.size() < 2 || head[0] != '\x80' || head[1] < 2 || head[1] > 5, path,
                   ": is a pickle of Python: if it is a model of gensim, "
                   "model.wv.save_word2vec_format() writes its vectors");
  check<FileError>(head.size() < 262 || head.substr(257, 5) != "ustar", path,
                   ": is a tar archive: run tar -xf on it first, and give a file of it");
  check<FileError>(head.size() < 10 || head.substr(4, 4) != "\0\0\0\0"sv || head[8] != '{', path,
                   ": is a safetensors file, which has no words: load_safetensors() reads it");
}

// ---- text ----

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Without blanks at either end, the \n and a \r before it.
std::string_view trim(std::string_view line) {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  return line;
}

// Takes the last field off a trimmed line.
std::string_view take_field(std::string_view& line) {
  std::size_t begin = line.size();
  while (begin > 0 && !is_blank(line[begin - 1])) --begin;
  const std::string_view field = line.substr(begin);
  while (begin > 0 && is_blank(line[begin - 1])) --begin;
  line = line.substr(0, begin);
  return field;
}

// A finite number, correctly rounded, whatever the locale.
bool parse_real(std::string_view field, Real& value) {
  if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
#ifdef __cpp_lib_to_chars
  const char* const last = field.data() + field.size();
  const auto [end, error] = std::from_chars(field.data(), last, value);
  if (error == std::errc()) return end == last && std::isfinite(value);
  if (error != std::errc::result_out_of_range) return false;  // else too small or too great
#endif
  // A stream takes more than decimal numbers: hexadecimal ones, a plus or blanks before them.
  if (field.empty() || field.find_first_not_of("0123456789+-.eE") != std::string_view::npos ||
      field[0] == '+')
    return false;
  std::istringstream in{std::string(field)};
  in.imbue(std::locale::classic());
  in >> value;
  return in && in.peek() == EOF && std::isfinite(value);
}

bool parse_count(std::string_view field, std::uint64_t& value) {
  const char* const last = field.data() + field.size();
  const auto [end, error] = std::from_chars(field.data(), last, value);
  if (error == std::errc::result_out_of_range) value = std::numeric_limits<std::uint64_t>::max();
  return end == last && error != std::errc::invalid_argument;
}

struct Header {
  std::uint64_t count, dim;
  bool binary;  // says its writer: see save_word2vec_binary()
};
std::optional<Header> parse_header(std::string_view line) {
  line = trim(line);
  Header header;
  if (!parse_count(take_field(line), header.dim) || !parse_count(line, header.count)) return {};
  header.binary = line.size() > 1 && line[0] == '0';
  return header;
}

// What is wrong with a field that is no number, as far as one can tell.
std::string no_number(std::string_view field) {
  const bool cr = field.find('\r') != std::string_view::npos,
             comma = field.find_first_not_of("0123456789+-.,eE") == std::string_view::npos &&
                     field.find(',') != std::string_view::npos;
  return message(in_quotes(field), " is not a finite number",
                 cr      ? "; lines end in \\n or \\r\\n, not in \\r alone"
                 : comma ? "; decimals have a point, not a comma, and blanks or tabs between them"
                         : "");
}

// Splits a trimmed line into its word and `dim` numbers. Returns what is wrong with it, or nothing.
std::string parse_line(std::string_view line, std::size_t dim, Real* row, std::string_view& word) {
  word = line;
  for (std::size_t k = dim; k-- > 0;) {
    const std::string_view field = take_field(word);
    if (word.empty()) return message("holds ", dim - k - 1, " numbers after the word, not ", dim);
    if (!parse_real(field, row[k])) return no_number(field);
  }
  std::string_view rest = word;
  Real extra;  // numbers are not part of a word
  if (const std::string_view field = take_field(rest); !rest.empty() && parse_real(field, extra))
    return message("holds more than ", dim, " numbers after the word");
  if (word.size() > kMaxWord) return message("holds a word of more than ", kMaxWord, " bytes");
  return {};
}

// A trimmed line of `dim` numbers and no word: where it begins with a blank, that was the word.
bool is_row_of_numbers(std::string_view line, std::size_t dim) {
  Real number;
  for (; !line.empty() && dim > 0; --dim) {
    if (!parse_real(take_field(line), number)) return false;
  }
  return line.empty() && dim == 0;
}

// Is the line below a header a row of text, or empty?
bool may_be_text(std::string_view line, std::size_t dim) {
  std::vector<Real> row(dim);
  std::string_view word;
  const std::string_view text = trim(line.substr(0, line.find('\n')));
  return text.empty() || (is_blank(line[0]) && is_row_of_numbers(text, dim)) ||
         parse_line(text, dim, row.data(), word).empty();
}

WordVectors read_text(const std::string& path, Input& in, const std::optional<Header>& header,
                      const ReadOptions& options, ReadReport* report) {
  std::optional<Collector> rows;
  std::size_t dim = 0, number = header ? 1 : 0;
  const auto fail = [&](const auto&... what) {
    throw FileError(message(path, ':', number, ": ", what...));
  };
  const auto start = [&](std::size_t d) {
    if (d > kMaxDim) fail("holds ", d, " numbers after the word, at most ", kMaxDim, " are read");
    rows.emplace(options, dim = d);
  };
  if (header) start(header->dim);
  for (std::string_view line; !(rows && rows->full()) && !(line = in.look_at_line()).empty();
       in.skip(line.size())) {
    ++number;
    if (line.size() == kBuffer && line.back() != '\n') {
      fail("is longer than ", kBuffer, " bytes");
    }
    const std::string_view text = trim(line);
    if (text.empty()) continue;
    if (!rows) {
      std::size_t fields = 0;
      for (std::string_view rest = text; !rest.empty(); ++fields) take_field(rest);
      if (fields == 1 && text.find_first_of(",;") != std::string_view::npos)
        fail("has no blanks or tabs: where it is CSV, put them in place of its commas");
      if (fields == 1) fail("holds 0 numbers after the word; a line is `word v1 ... vD`");
      start(fields - 1);
    }
    std::string_view word;
    if (is_blank(line[0]) && is_row_of_numbers(text, dim)) {
      rows->skip();
      continue;
    }
    const std::string error = parse_line(text, dim, rows->spare(), word);
    if (!error.empty()) fail(error);
    rows->add(word);
  }
  check<FileError>(rows.has_value(), path, ": holds no word vectors");
  check<FileError>(!header || rows->full() || rows->rows() == header->count, path, ":1: announces ",
                   header ? header->count : 0, " vectors, the file holds ", rows->rows());
  return rows->finish(path, header ? "word2vec text" : "GloVe text", report);
}

// ---- binary ----

WordVectors read_binary(const std::string& path, Input& in, const Header& header,
                        const ReadOptions& options, ReadReport* report) {
  const std::size_t dim = header.dim, bytes = dim * sizeof(float);
  Collector rows(options, dim);
  const auto fail = [&](std::uint64_t position, const auto&... what) {
    throw FileError(message(path, ": byte ", position, ": ", what...,
                            "; read as binary since line 2 is not a word and ", dim, " numbers"));
  };
  while (rows.rows() < header.count && !rows.full()) {
    if (in.look(1).substr(0, 1) == "\n") in.skip(1);
    const std::string_view ahead = in.look(kMaxWord + 1 + bytes);
    const std::string_view word = ahead.substr(0, ahead.substr(0, kMaxWord + 1).find(' '));
    if (word.empty() && !ahead.empty()) fail(in.position(), "holds no word before the blank");
    if (word.size() > kMaxWord)
      fail(in.position(), "holds a word of more than ", kMaxWord, " bytes");
    if (ahead.size() < word.size() + 1 + bytes)
      fail(in.position(), "the file ends in vector ", rows.rows() + 1, " of ", header.count);
    Real* const row = rows.spare();
    for (std::size_t k = 0; k < dim; ++k) {
      const std::size_t at = word.size() + 1 + k * sizeof(float);
      float number;
      std::memcpy(&number, ahead.data() + at, sizeof(float));
      if (!std::isfinite(number))
        fail(in.position() + at, in_quotes(word), " has a number that is not finite");
      row[k] = number;
    }
    rows.add(word);
    in.skip(word.size() + 1 + bytes);
  }
  if (!rows.full()) {
    if (in.look(1).substr(0, 1) == "\n") in.skip(1);
    if (!in.look(1).empty())
      fail(in.position(), "more bytes after the last of ", header.count, " vectors");
  }
  return rows.finish(path, "word2vec binary", report);
}

// ---- writing ----

void check_words(const char* op, const WordVectors& vectors, const char* forbidden,
                 const char* what) {
  for (const std::string& word : vectors.words()) {
    check(!word.empty() && word.size() <= kMaxWord &&
              word.find_first_of(forbidden) == std::string::npos,
          op, ": words must be of 1 to ", kMaxWord, " bytes without ", what, ", got ",
          in_quotes(word));
  }
}

// Shortest digits that are read back as the same number.
void append_number(std::string& text, Real x) {
#ifdef __cpp_lib_to_chars
  char digits[32];
  text.append(digits, std::to_chars(digits, digits + sizeof(digits), x).ptr);
#else
  std::ostringstream digits;
  digits.imbue(std::locale::classic());
  digits.precision(std::numeric_limits<Real>::max_digits10);
  digits << x;
  text += digits.str();
#endif
}

// Writes `text`, to which append(row, text) adds each of the rows, in pieces.
void write_rows(const File& file, std::string text, std::size_t rows,
                const std::function<void(std::size_t, std::string&)>& append) {
  for (std::size_t row = 0; row < rows; ++row) {
    append(row, text);
    if (text.size() < kBuffer) continue;
    file.write(text.data(), text.size());
    text.clear();
  }
  file.write(text.data(), text.size());
}

std::string header_of(const WordVectors& vectors) {
  return message(vectors.size(), ' ', vectors.dim(), '\n');
}

void check_dim(const char* op, const WordVectors& vectors) {
  check(vectors.dim() <= kMaxDim, op, ": vectors must be of at most ", kMaxDim, " numbers, got ",
        vectors.dim());
}

std::string binary_row(const WordVectors& vectors, std::size_t row) {
  std::string text = vectors.words()[row] + ' ';
  for (std::size_t k = 0; k < vectors.dim(); ++k) {
    const float number = static_cast<float>(vectors.vectors().data()[row * vectors.dim() + k]);
    text.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  return text + '\n';
}

}  // namespace

WordVectors read_word_vectors(const std::string& path, const ReadOptions& options,
                              ReadReport* report) {
  Input in(path);
  refuse_foreign(path, in);
  if (in.look(3).substr(0, 3) == "\xEF\xBB\xBF") in.skip(3);
  const std::string_view first = in.look_at_line();
  const std::optional<Header> header = parse_header(first);
  if (!header) return read_text(path, in, header, options, report);

  const auto [count, dim, binary] = *header;
  check<FileError>(dim >= 1 && dim <= kMaxDim, path, ":1: announces vectors of ", dim,
                   " numbers, 1 to ", kMaxDim, " are read");
  check<FileError>(count <= in.size() / (2 * dim), path, ":1: announces ", count, " vectors of ",
                   dim, " numbers, more than the file's ", in.size(), " bytes can hold");
  in.skip(first.size());
  if (!binary && may_be_text(in.look_at_line(), dim))
    return read_text(path, in, header, options, report);
  return read_binary(path, in, *header, options, report);
}

void save_word2vec_text(const std::string& path, const WordVectors& vectors) {
  check_words("save_word2vec_text", vectors, " \t\r\n", "blanks or line ends");
  check_dim("save_word2vec_text", vectors);
  write_file(path, [&](const File& file) {
    write_rows(file, header_of(vectors), vectors.size(), [&](std::size_t row, std::string& text) {
      const std::size_t begin = text.size();
      text += vectors.words()[row];
      for (std::size_t k = 0; k < vectors.dim(); ++k) {
        text += ' ';
        append_number(text, vectors.vectors().data()[row * vectors.dim() + k]);
      }
      text += '\n';
      check(text.size() - begin <= kBuffer, "save_word2vec_text: a line must be of at most ",
            kBuffer, " bytes, got ", text.size() - begin, " for ", in_quotes(vectors.words()[row]));
    });
  });
}

void save_word2vec_binary(const std::string& path, const WordVectors& vectors) {
  check_words("save_word2vec_binary", vectors, " \t\r\n", "blanks or line ends");
  check_dim("save_word2vec_binary", vectors);
  for (Real x : vectors.vectors()) {
    check(std::abs(x) <= Real(std::numeric_limits<float>::max()),
          "save_word2vec_binary: numbers must be in the range of float, got ", x);
  }
  std::string header = header_of(vectors);
  // Where the bytes of the first floats happen to be the digits of numbers, a reader would take the
  // file for text. It is told by a count that begins with 0, which no writer of text would put.
  if (vectors.size() > 0 && may_be_text(binary_row(vectors, 0), vectors.dim()))
    header.insert(0, "0");
  write_file(path, [&](const File& file) {
    write_rows(file, header, vectors.size(),
               [&](std::size_t row, std::string& text) { text += binary_row(vectors, row); });
  });
}

void save_projector(const std::string& vectors_tsv_path, const std::string& metadata_tsv_path,
                    const WordVectors& vectors) {
  check_words("save_projector", vectors, "\t\r\n", "tabs or line ends");
  write_file(vectors_tsv_path, [&](const File& file) {
    write_rows(file, "", vectors.size(), [&](std::size_t row, std::string& text) {
      for (std::size_t k = 0; k < vectors.dim(); ++k) {
        append_number(text, vectors.vectors().data()[row * vectors.dim() + k]);
        text += k + 1 < vectors.dim() ? '\t' : '\n';
      }
    });
    file.flush();  // the metadata take their name when nothing but renaming is left to do here
    write_file(metadata_tsv_path, [&](const File& metadata) {
      write_rows(metadata, "", vectors.size(),
                 [&](std::size_t row, std::string& text) { text += vectors.words()[row] + '\n'; });
    });
  });
}

}  // namespace gradwalk
