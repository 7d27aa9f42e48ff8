#include "core/callers.hpp"

#include <dlfcn.h>
#include <unistd.h>
#include <unwind.h>
#ifdef __GLIBC__
#include <link.h>
#endif

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "core/error.hpp"

namespace gradwalk {
namespace {

using Lines = std::vector<SourceLine>;

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
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// Reads what addr2line prints: an address, and then a function and a place for each call inlined
// there.
void look_up(const std::string& module, std::uintptr_t loaded,
             const std::vector<std::uintptr_t>& codes, std::map<std::uintptr_t, Lines>& known) {
  std::string command = "addr2line -Cfia -e " + for_shell(module);
  char text[4096];
  for (std::uintptr_t code : codes) {
    std::snprintf(text, sizeof text, " %zx", static_cast<std::size_t>(code - loaded));
    command += text;
  }
  std::FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return;
  std::vector<std::string> output;
  for (std::string line; std::fgets(text, sizeof text, pipe) != nullptr;) {
    line += text;
    if (line.back() != '\n') continue;  // a long name of a template
    line.pop_back();
    output.push_back(std::exchange(line, {}));
  }
  pclose(pipe);
  std::size_t next = 0;
  Lines* lines = nullptr;
  for (std::size_t i = 0; i < output.size(); ++i) {
    if (output[i].rfind("0x", 0) == 0) {
      if (next == codes.size()) return;
      lines = &known[codes[next++]];
    } else if (lines != nullptr && i + 1 < output.size()) {
      const std::string& place = output[++i];
      const std::size_t colon = place.rfind(':', place.find(" (discriminator"));
      const int number = colon == std::string::npos ? 0 : std::atoi(place.c_str() + colon + 1);
      if (number == 0) continue;  // without debug information the file may be known, but no line
      const std::filesystem::path file = place.substr(0, colon);
      lines->push_back({output[i - 1], file.lexically_normal().string(), number});
    }
  }
}

// The lines at each address, as the debug information has them.
class Known {
 public:
  const Lines& operator[](std::uintptr_t code) { return known_[code]; }
  void add(const std::vector<Call>& stack) {
    std::map<std::pair<std::string, std::uintptr_t>, std::vector<std::uintptr_t>> unknown;
    for (const Call& call : stack) {
      if (known_.emplace(call.code, Lines()).second) {
        const auto module = module_of(call.code);
        if (!module.first.empty()) unknown[module].push_back(call.code);
      }
    }
    for (const auto& [module, codes] : unknown) look_up(module.first, module.second, codes, known_);
  }

 private:
  std::map<std::uintptr_t, Lines> known_;
};

// With a slash at the end; empty without debug information.
const std::string& library_folder() {
  static const std::string& folder = *new std::string([] {
    Known here;
    const std::vector<Call> stack = call_stack();
    here.add(stack);
    for (const Call& call : stack) {
      for (const SourceLine& at : here[call.code]) {
        const std::size_t end = at.file.rfind("core/callers.cpp");
        if (end != std::string::npos) return at.file.substr(0, end);
      }
    }
    return std::string();
  }());
  return folder;
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
  static std::mutex& mutex = *new std::mutex;  // never destroyed: observers may be asked at the end
  static Known& known = *new Known;
  const std::string& folder = library_folder();
  const std::lock_guard<std::mutex> lock(mutex);
  known.add(stack);
  std::vector<SourceLine> lines;
  for (const Call& call : stack) {
    for (SourceLine at : known[call.code]) {
      if (!folder.empty() && at.file.rfind(folder, 0) == 0) at.file.erase(0, folder.size());
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

std::vector<std::string> source_text(const std::string& file) {
  std::ifstream in(file[0] == '/' ? file : library_folder() + file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace gradwalk
