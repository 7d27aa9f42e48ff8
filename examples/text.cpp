#include "examples/text.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "core/error.hpp"
#include "core/file.hpp"
#include "core/machine/memory.hpp"
#include "core/text.hpp"

using gradwalk::check;
using gradwalk::FileError;

namespace {

volatile std::sig_atomic_t got_signal = 0;  // all that a signal handler may touch

// The length in bytes of a blank at the start of text, 0 if there is none. Besides ASCII's blanks:
// next line, no-break space, line and paragraph separator, ideographic space.
std::size_t blank_length(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r')) return 1;
  for (std::string_view blank :
       {"\xC2\x85", "\xC2\xA0", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE3\x80\x80"}) {
    if (text.substr(0, blank.size()) == blank) return blank.size();
  }
  return 0;
}

bool is_punctuation(char c) { return std::string_view(".,!?;:()\"").find(c) != std::string::npos; }

// Takes punctuation off both ends of a word without blanks.
void split_word(std::string_view word, std::vector<std::string_view>& tokens) {
  while (!word.empty() && is_punctuation(word.front())) {
    const std::size_t run = std::min(word.find_first_not_of(word.front()), word.size());
    tokens.push_back(word.substr(0, run));
    word.remove_prefix(run);
  }
  std::vector<std::string_view> ends;  // the last one first
  while (!word.empty() && is_punctuation(word.back())) {
    const std::size_t begin = word.find_last_not_of(word.back()) + 1;
    ends.push_back(word.substr(begin));
    word = word.substr(0, begin);
  }
  if (!word.empty()) tokens.push_back(word);
  tokens.insert(tokens.end(), ends.rbegin(), ends.rend());
}

}  // namespace

std::ifstream open_text(const std::string& path) {
  std::error_code none;
  check<FileError>(!std::filesystem::is_directory(path, none), path,
                   ": is a directory, not a file");
  check<FileError>(!std::filesystem::is_character_file(path, none), path,
                   ": must be a file or a pipe, not a device");  // /dev/zero never ends
  std::ifstream in(path, std::ios::binary);
  check<FileError>(in.is_open(), path, ": cannot be opened for reading");
  return in;
}

bool next_line(std::istream& in, std::string& line, std::size_t& number) {
  if (!std::getline(in, line)) return false;
  if (++number == 1 && line.compare(0, 3, "\xEF\xBB\xBF") == 0) line.erase(0, 3);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return true;
}

void for_each_text(const std::vector<std::string>& texts,
                   const std::function<void(const std::string&, const std::string&)>& use) {
  const auto take = [&](std::string text, const std::string& where) {
    check<FileError>(is_utf8(text), where, "is not UTF-8");
    for (char& c : text) c = c == '\t' || c == '\n' || c == '\r' ? ' ' : c;
    use(text, where);
  };
  for (const std::string& text : texts) take(text, "TEXT: ");
  if (!texts.empty()) return;
  std::string line;
  for (std::size_t number = 0; next_line(std::cin, line, number);) {
    take(line, gradwalk::message("standard input:", number, ": "));
  }
  // std::cin reads through stdin, and takes an error for the end.
  check<FileError>(std::ferror(stdin) == 0, "standard input: cannot be read");
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t n = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (n == 0 || lead > 0xF4 || text.size() - i < n) return false;
    for (std::size_t k = 1; k < n; ++k) {
      const auto c = static_cast<unsigned char>(text[i + k]);
      // The second byte rules out overlong forms, surrogates and what is past U+10FFFF.
      const unsigned low = k > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
      const unsigned high = k > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
      if (c < low || c > high) return false;
    }
    i += n;
  }
  return true;
}

std::vector<std::string_view> tokenize(std::string_view text) {
  std::vector<std::string_view> tokens;
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t blank = at == text.size() ? 1 : blank_length(text.substr(at));
    if (blank > 0) {
      split_word(text.substr(begin, at - begin), tokens);
      begin = at + blank;
    }
    at += std::max<std::size_t>(blank, 1);
  }
  return tokens;
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    do ++end;
    while (end < text.size() && (text[end] & 0xC0) == 0x80);
    out.push_back(text.substr(begin, end - begin));
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    // Those of two bytes, U+0080 to U+009F, are commands to some terminals as well.
    const bool is_long_control =
        text[i] == '\xC2' && i + 1 < text.size() && (text[i + 1] & 0xE0) == 0x80;
    if (is_long_control) ++i;
    const auto code = static_cast<unsigned char>(text[i]);
    if (is_long_control || code == 127 || (code < ' ' && code != '\n' && code != '\t')) {
      char hex[8];
      std::snprintf(hex, sizeof(hex), "\\x%02X", code);
      out += hex;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string thousands(std::size_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string xml_escaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_noncharacter =
        text.compare(i, 3, "\xEF\xBF\xBE") == 0 || text.compare(i, 3, "\xEF\xBF\xBF") == 0;
    if (is_noncharacter || static_cast<unsigned char>(c) < ' ') {
      out += "\xEF\xBF\xBD";
      if (is_noncharacter) i += 2;
    } else if (c == '<' || c == '>' || c == '&') {
      out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

void check_outputs(const std::vector<FileOption>& outputs, const std::vector<FileOption>& inputs) {
  namespace fs = std::filesystem;
  std::error_code none;
  std::vector<FileOption> others = inputs;
  for (const FileOption& output : outputs) {
    if (output.path.empty()) continue;
    for (const FileOption& other : others) {
      check<FileError>(other.path.empty() || fs::weakly_canonical(output.path, none) !=
                                                 fs::weakly_canonical(other.path, none),
                       output.path, ": is named by ", other.name, " and by ", output.name);
    }
    others.push_back(output);
    gradwalk::check_writable(output.path);
  }
}

void catch_interrupt() {
  for (int which : {SIGINT, SIGTERM, SIGHUP}) {
    const auto before = std::signal(which, [](int signal) {
      got_signal = signal;
      std::signal(signal, SIG_DFL);
    });
    if (before == SIG_IGN) std::signal(which, SIG_IGN);
  }
}

bool interrupted() { return got_signal != 0; }

int stopped(const char* program, bool any_epoch, const std::string& save,
            const std::string& checkpoint, const char* what) {
  std::fflush(stdout);
  std::string about = gradwalk::message("; ", what, " in ", save);
  if (save.empty()) about = "; nothing was saved, there is no --save";
  if (!any_epoch) about = " before an epoch was over; nothing was saved";
  if (!checkpoint.empty()) {
    if (save.empty() || !any_epoch) about.clear();
    about += "; --resume " + checkpoint + " goes on";
  }
  const char* by = got_signal == SIGTERM ? "SIGTERM" : got_signal == SIGHUP ? "SIGHUP" : "Ctrl-C";
  std::fprintf(stderr, "%s: stopped by %s%s\n", program, by, about.c_str());
  return 128 + got_signal;
}

double ratio(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::print(const char* format, ...) const {
  if (!isatty(STDERR_FILENO)) return;
  char text[200];
  std::va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof(text), format, values);
  va_end(values);
  const double per_second = rate();
  std::fprintf(stderr, "\r%s  %.0f %s/s  %.0f s left \033[K", text, per_second, unit_,
               static_cast<double>(total_ - done_) / per_second);
}

void Progress::clear() const {
  if (isatty(STDERR_FILENO)) std::fputs("\r\033[K", stderr);
}

int run_program(const char* name, int (*run)(int, char**), int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may grow no further is an error of write()
  int result = 1;
  std::string error;
  try {
    result = run(argc, argv);
  } catch (const gradwalk::OutOfMemory& e) {
    error = e.what();
  } catch (const std::bad_alloc&) {
    error = "out of memory";
  } catch (const std::exception& e) {
    error = e.what();
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    result = 1;
    if (error.empty()) error = "standard output: cannot be written";
  }
  if (!error.empty()) std::fprintf(stderr, "%s: %s\n", name, error.c_str());
  return result;
}
