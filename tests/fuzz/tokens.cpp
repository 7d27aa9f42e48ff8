// What takes texts apart and shows them: nothing is refused. translate::tokens() is given UTF-8 only.
#include "examples/text.hpp"
#include "examples/translate/corpus.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

template <class Tokens>
std::string joined(const Tokens& tokens, const char* between) {
  std::string text;
  for (const auto& token : tokens) (text += token) += between;
  return text;
}

bool has_controls(std::string_view text, std::string_view but) {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    return ((c >= 0 && c < ' ') || c == 127) && but.find(c) == std::string_view::npos;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  ++fuzz::accepted;
  const auto tokens = tokenize(text);
  std::size_t at = 0;
  for (std::string_view token : tokens) {  // each is a part of the text, behind the one before
    const auto begin = static_cast<std::size_t>(token.data() - text.data());
    fuzz::require(begin >= at && !token.empty() && begin + token.size() <= size,
                  "a token must be a part of the text");
    fuzz::require(tokenize(text.substr(at, begin - at)).empty(), "only blanks are left out");
    fuzz::require(tokenize(token).size() == 1, "a token must be one");
    at = begin + token.size();
  }
  const std::string spaced = joined(tokens, " ");
  fuzz::require(joined(tokenize(spaced), " ") == spaced, "tokens must stay what they are");

  fuzz::require(joined(characters(text), "") == text, "characters must be the text");
  fuzz::require(!has_controls(printable(text), "\n\t"), "what is shown must not be obeyed");
  const std::string escaped = xml_escaped(text);
  fuzz::require(!has_controls(escaped, "\x7F") && escaped.find('<') == std::string::npos,
                "XML must be well-formed");
  if (!is_utf8(text)) return 0;
  fuzz::require(is_utf8(printable(text)) && is_utf8(escaped) && is_utf8(lower(text)),
                "UTF-8 must stay UTF-8");
  const auto words = translate::tokens(text);
  fuzz::require(translate::tokens(joined(words, " ")) == words, "words must stay what they are");
  for (std::string_view c : characters(text))
    fuzz::require(is_utf8(c), "a character must be whole");
  for (std::string_view token : tokens) fuzz::require(is_utf8(token), "a token must be whole");
  for (const std::string& word : words) fuzz::require(is_utf8(word), "a token must be whole");
  return 0;
}
