#include "examples/char_lm/data.hpp"
#include "examples/text.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::input(data, size);
  std::string first;
  if (!fuzz::takes([&] { first = char_lm::read_texts({path}); })) return 0;
  std::string lines;  // with what is taken off
  if (!first.empty()) lines = "\xEF\xBB\xBF";
  for (char c : first) lines += c == '\n' ? "\r\n" : std::string(1, c);
  fuzz::require(char_lm::read_texts({fuzz::write("saved", lines)}) == first,
                "a text must be read back");

  const std::vector<std::string_view> all = characters(first);
  if (all.empty()) return 0;
  const char_lm::Alphabet alphabet(all);
  std::size_t steps = 0;
  for (const auto& chunk : char_lm::make_chunks(alphabet.encode(all), 1 + size % 3, 7)) {
    steps += chunk.ids.size();
    for (std::int64_t id : chunk.ids)
      fuzz::require(id >= 0 && std::size_t(id) < alphabet.size(), "ids must be the alphabet's");
  }
  fuzz::require(steps < all.size() && all.size() - steps <= 1 + size % 3,
                "chunks must hold the text");
  return 0;
}
