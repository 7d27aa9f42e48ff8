// Where in the program something happens: the call stack as functions, files and lines, from the
// debug information of a build with -g. For observers: looking it up takes milliseconds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gradwalk {

struct Call {
  std::uintptr_t code;   // the address that it is at
  std::uintptr_t frame;  // the address of its frame on the stack: tells two calls apart
};
std::vector<Call> call_stack();  // the innermost first

struct SourceLine {
  std::string function, file;  // file: from the library's folder on for what lies in it
  int line = 0;
};
// Innermost first; more lines than calls where functions were inlined, none of what is unknown.
// `frames`, if given, gets the frame of each.
std::vector<SourceLine> source_lines(const std::vector<Call>& stack,
                                     std::vector<std::uintptr_t>* frames = nullptr);

// The innermost line outside of the library: the user's. Null if there is none.
const SourceLine* users_line(const std::vector<SourceLine>& lines);
// "examples/first_model.cpp:21", to follow "at "; empty if it is not known.
std::string users_place();
// The lines of a file in the library's folder, or of any other; none if it is gone.
const std::vector<std::string>& source_file(const std::string& file);
std::string source_text(const SourceLine& at);  // that line; empty if it is gone

}  // namespace gradwalk
