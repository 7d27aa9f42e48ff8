// What the fuzz targets share. A target defines LLVMFuzzerTestOneInput, which reads the bytes as
// one kind of file. They must be refused by the library's error, with a message of one short line;
// or what was read can be written, and reads as the same again. All else ends the program.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "core/array.hpp"
#include "core/text.hpp"
#include "tests/folder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

inline std::size_t accepted = 0;  // inputs

inline void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

// A file of this program's own folder: ./run fuzz has it in memory.
inline std::string path_of(const char* name) {
  static const tests::Folder folder;
  return folder / name;
}

inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string write(const char* name, std::string_view bytes) {
  const std::string path = path_of(name);
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// The input, as a file.
inline std::string input(const std::uint8_t* data, std::size_t size) {
  return write("input", {reinterpret_cast<const char*>(data), size});
}

// False where `read` refuses the bytes, which it must do by Error and in one short line.
template <class Error = gradwalk::FileError, class F>
bool takes(const F& read) {
  try {
    read();
  } catch (const Error& e) {
    const std::string_view text = e.what();
    require(!text.empty() && text.size() < 2000, "an error must have 1 to 1,999 bytes");
    for (char c : text) {
      if (c >= 0 && c < ' ') {
        std::fprintf(stderr, "%s\n", e.what());
        require(false, "an error must have no control characters");
      }
    }
    return false;
  }
  ++accepted;
  return true;
}

inline bool same_bits(const gradwalk::Array& a, const gradwalk::Array& b) {
  return a.shape() == b.shape() &&
         (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size() * sizeof(gradwalk::Real)) == 0);
}

}  // namespace fuzz
