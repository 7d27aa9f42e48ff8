// What the documents show is what the sources hold.
#include <fstream>
#include <sstream>

#include "tests/catch.hpp"

namespace {

std::string read(const std::string& name) {
  std::ifstream in(std::string(GRADWALK_SOURCE_DIR) + "/" + name);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("the README shows first_model.cpp as it is", "[docs]") {
  const std::string program = read("examples/first_model.cpp");
  REQUIRE_FALSE(program.empty());
  CHECK_THAT(read("README.md"), ContainsText("```cpp\n" + program + "```"));
}
