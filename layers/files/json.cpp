#include "layers/files/json.hpp"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/error.hpp"
#include "core/text.hpp"

namespace gradwalk {
namespace {

using Json = nlohmann::json;

struct Watch : Json::json_sax_t {
  std::vector<std::set<std::string>> open;  // objects and arrays, each with its keys

  bool begin() {
    check<FileError>(open.size() < 50, "is nested too deeply");
    return open.emplace_back(), true;
  }
  bool end() { return open.pop_back(), true; }
  bool start_object(std::size_t) override { return begin(); }
  bool start_array(std::size_t) override { return begin(); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(std::string& name) override {
    check<FileError>(open.back().insert(name).second, "names ", in_quotes(name), " twice");
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception& e) override {
    const std::string what = e.what();  // quotes the text
    throw FileError(message("is not valid JSON: ", what.substr(0, 200)));
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
};

}  // namespace

void check_json(const std::string& text) {
  Watch watch;
  Json::sax_parse(text, &watch);
}

}  // namespace gradwalk
