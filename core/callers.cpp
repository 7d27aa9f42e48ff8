#include "core/callers.hpp"

#include <dlfcn.h>
#include <unistd.h>
#include <unwind.h>
#ifdef __GLIBC__
#include <link.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <regex>
#include <string_view>

#include "core/error.hpp"

namespace gradwalk {
namespace {

using Lines = std::vector<SourceLine>;

constexpr std::string_view kFolder = GRADWALK_FOLDER;  // the library's, ends with a slash

// The file that the code lies in and where it was loaded. Empty: not known.
std::pair<std::string, std::uintptr_t> module_of([[maybe_unused]] std::uintptr_t code) {
#ifdef __GLIBC__
  Dl_info info{};
  link_map* map = nullptr;
  if (dladdr1(reinterpret_cast<void*>(code), &info, reinterpret_cast<void**>(&map),
              RTLD_DL_LINKMAP) &&
      map != nullptr) {
    // the program itself has no name here
    const bool program = map->l_name == nullptr || *map->l_name == '\0';
    return {program ? message("/proc/", getpid(), "/exe") : map->l_name, map->l_addr};
  }
#endif
  return {};
}

std::string for_shell(const std::string& text) {
  return "'" + std::regex_replace(text, std::regex("'"), "'\\''") + "'";
}

// Reads what addr2line prints: an address, and then a function and a place for each call inlined
// there. Without debug information the file may be known, but no line.
void look_up(const std::string& module, std::uintptr_t loaded,
             const std::vector<std::uintptr_t>& codes, std::map<std::uintptr_t, Lines>& known) {
  std::string command = "addr2line -Cfia -e " + for_shell(module);
  for (std::uintptr_t code : codes) command += message(std::hex, " 0x", code - loaded);
  std::FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return;
  char* text = nullptr;
  std::size_t room = 0, next = 0;
  std::string function;
  while (getline(&text, &room, pipe) > 0) {
    const std::string line(text, std::strcspn(text, "\n"));
    if (line.rfind("0x", 0) == 0) {
      ++next;
    } else if (function.empty()) {
      function = line;
    } else {
      const std::size_t colon = line.rfind(':', line.find(" (discriminator"));
      const int number = colon == std::string::npos ? 0 : std::atoi(line.c_str() + colon + 1);
      const std::filesystem::path file = line.substr(0, colon);
      if (number > 0 && 0 < next && next <= codes.size())
        known[codes[next - 1]].push_back({function, file.lexically_normal().string(), number});
      function.clear();
    }
  }
  std::free(text);
  pclose(pipe);
}

// Within core, layers or optim.
bool in_library(const std::string& file) {
  for (const char* folder : {"core/", "layers/", "optim/"}) {
    if (file.rfind(folder, 0) == 0) return true;
  }
  return false;
}

}  // namespace

std::vector<Call> call_stack() {
  std::vector<Call> stack;
  const auto add = [](_Unwind_Context* context, void* to) {
    const std::uintptr_t code = _Unwind_GetIP(context);
    // a return address may be the first of the next line
    if (code != 0)
      static_cast<std::vector<Call>*>(to)->push_back({code - 1, _Unwind_GetCFA(context)});
    return _URC_NO_REASON;
  };
  _Unwind_Backtrace(add, &stack);
  return stack;
}

std::vector<SourceLine> source_lines(const std::vector<Call>& stack,
                                     std::vector<std::uintptr_t>* frames) {
  // Never destroyed: observers may be asked at the end.
  static std::mutex& mutex = *new std::mutex;
  static auto& known = *new std::map<std::uintptr_t, Lines>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::map<std::pair<std::string, std::uintptr_t>, std::vector<std::uintptr_t>> unknown;
  for (const Call& call : stack) {
    if (known.emplace(call.code, Lines()).second)
      unknown[module_of(call.code)].push_back(call.code);
  }
  for (const auto& [module, codes] : unknown) {
    if (!module.first.empty()) look_up(module.first, module.second, codes, known);
  }
  Lines lines;
  for (const Call& call : stack) {
    for (SourceLine at : known[call.code]) {
      if (at.file.rfind(kFolder, 0) == 0) at.file.erase(0, kFolder.size());
      lines.push_back(std::move(at));
      if (frames != nullptr) frames->push_back(call.frame);
    }
  }
  return lines;
}

const SourceLine* users_line(const std::vector<SourceLine>& lines) {
  for (const SourceLine& at : lines) {
    const bool system = at.file.rfind("/usr/", 0) == 0 || at.file.rfind("./", 0) == 0 ||
                        at.file.rfind("../", 0) == 0;  // the C library's own files are relative
    if (!in_library(at.file) && !system) return &at;
  }
  return nullptr;
}

std::string users_place() {
  const std::vector<SourceLine> lines = source_lines(call_stack());
  const SourceLine* at = users_line(lines);
  return at ? message(at->file, ':', at->line) : "";
}

const std::vector<std::string>& source_file(const std::string& file) {
  static auto& files = *new std::map<std::string, std::vector<std::string>>;
  static std::mutex& mutex = *new std::mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto [at, fresh] = files.try_emplace(file);
  if (fresh) {
    std::ifstream in(file[0] == '/' ? file : std::string(kFolder) + file);
    for (std::string line; std::getline(in, line);) at->second.push_back(line);
  }
  return at->second;
}

std::string source_text(const SourceLine& at) {
  const std::vector<std::string>& lines = source_file(at.file);
  const std::size_t line = static_cast<std::size_t>(at.line) - 1;
  return line < lines.size() ? lines[line] : "";
}

}  // namespace gradwalk
