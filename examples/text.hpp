// What the programs that read text share.
#pragma once

#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.hpp"

// To read a regular file. Throws gradwalk::FileError.
std::ifstream open_text(const std::string& path);
// The next line and its number, false at the end. Only \n ends a line; a \r before it is taken off,
// and a byte-order mark in line 1.
bool next_line(std::istream& in, std::string& line, std::size_t& number);

// Calls use with each of texts or, if there are none, with each line of standard input: valid UTF-8
// in one line, tabs and ends of lines being blanks. `where` begins errors that concern the text.
// Throws gradwalk::FileError.
void for_each_text(
    const std::vector<std::string>& texts,
    const std::function<void(const std::string& text, const std::string& where)>& use);

// True where the bytes are well-formed UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

// Splits at blanks, then takes punctuation off the ends of each word, a run of the same character
// being one token: `Well... (not "bad"!)` -> Well ... ( not " bad " ! ). Views into `text`.
std::vector<std::string_view> tokenize(std::string_view text);

// The code points of valid UTF-8, each as its bytes in `text`.
std::vector<std::string_view> characters(std::string_view text);

// What a terminal shows and does not obey: control characters but \n and \t become \x1B.
std::string printable(std::string_view text);
// 8528 -> 8,528
std::string thousands(std::size_t n);

// A-Z to a-z; other letters stay as they are.
std::string lower(std::string_view word);

// To stand between tags: XML reserves < & >, and has no way to write control characters, U+FFFE or
// U+FFFF, which become U+FFFD.
std::string xml_escaped(const std::string& text);

// The options of a program that name files.
struct FileOption {
  std::string name, path;
};
// That each output that is given can be written, better found out before an hour of training than
// after it, and is none of the other files. Throws gradwalk::FileError.
void check_outputs(const std::vector<FileOption>& outputs, const std::vector<FileOption>& inputs);

// From here on the first Ctrl-C only makes interrupted() true; the second ends the program at once:
// a file that is being written then keeps its old content, and its temporary file stays behind until
// the next save. So do SIGTERM and, unless it is ignored as under nohup, SIGHUP.
void catch_interrupt();
bool interrupted();

// A training that was stopped tells on stderr by what, `what` is in the file of --save, and how it
// goes on from the file of --checkpoint. Returns what shells report for a program that the signal
// has ended: 130 for Ctrl-C. Of the epoch in which it came only a checkpoint holds anything: before
// a first one has been judged, what was in the file of --save is still there.
int stopped(const char* program, bool any_epoch, const std::string& save,
            const std::string& checkpoint, const char* what = "the best model so far is");

double ratio(std::size_t part, std::size_t whole);  // 0 of 0 is 0

// How much of a training is done, shown on a line of stderr that is written over; where stderr is
// no terminal nothing is shown.
class Progress {
 public:
  Progress(std::size_t total, const char* unit) : total_(total), unit_(unit) {}
  void advance(std::size_t n) { done_ += n; }
  void skip(std::size_t n) { done_ += n, skipped_ += n; }  // what an earlier run has done
  double fraction() const { return ratio(done_, total_); }
  double seconds() const;  // since the beginning
  double rate() const { return static_cast<double>(done_ - skipped_) / seconds(); }
  // What printf would write, and then `  812 sentences/s  34 s left `.
  void print(const char* format, ...) const __attribute__((format(printf, 2, 3)));
  void clear() const;

 private:
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start_ = Clock::now();
  const std::size_t total_;
  const char* const unit_;
  std::size_t done_ = 0, skipped_ = 0;
};

// A main(): calls run. An exception, or output that could not be written, is one line on stderr and
// a result of 1.
int run_program(const char* name, int (*run)(int argc, char** argv), int argc, char** argv);
