// What the programs that read text share.
#pragma once

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

// To read. Throws gradwalk::FileError.
std::ifstream open_text(const std::string& path);
// The next line and its number, false at the end. Only \n ends a line; a \r before it is taken off,
// and a byte-order mark in line 1.
bool next_line(std::istream& in, std::string& line, std::size_t& number);

// True where the bytes are well-formed UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

// Splits at blanks, then takes punctuation off the ends of each word, a run of the same character
// being one token: `Well... (not "bad"!)` -> Well ... ( not " bad " ! ). Views into `text`.
std::vector<std::string_view> tokenize(std::string_view text);

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

// From here on the first Ctrl-C only makes interrupted() true; the second ends the program.
void catch_interrupt();
bool interrupted();
constexpr int kInterrupted = 130;  // what shells report for a program ended by Ctrl-C

// A main(): calls run. An exception, or output that could not be written, is one line on stderr and
// a result of 1.
int run_program(const char* name, int (*run)(int argc, char** argv), int argc, char** argv);
