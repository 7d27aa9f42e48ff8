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

// That `path` can be written, if it is not empty: better found out before an hour of training than
// after it. Throws gradwalk::FileError.
void check_writable(const std::string& path);
