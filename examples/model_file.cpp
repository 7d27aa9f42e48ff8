#include "examples/model_file.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/text.hpp"
#include "examples/json.hpp"

using gradwalk::check;
using gradwalk::FileError;
using nlohmann::json;

namespace {

bool all_finite(const gradwalk::Array& values) {
  return std::all_of(values.data(), values.data() + values.size(),
                     [](gradwalk::Real x) { return std::isfinite(x); });
}

// null where there is no such field.
json field(const json& config, const char* key) {
  const auto found = config.find(key);
  return found == config.end() ? json() : *found;
}

json json_of(const gradwalk::Checkpoint& file, const char* key) {
  const auto found = file.metadata.find(key);
  check<FileError>(found != file.metadata.end(), "has no ", key);
  try {
    return parse_json(found->second);
  } catch (const FileError& e) {
    throw FileError(gradwalk::message(key, ' ', e.what()));
  }
}

}  // namespace

void read_model_file(const std::string& path, const std::string& format,
                     const std::function<void(const gradwalk::Checkpoint&)>& parse) {
  const gradwalk::Checkpoint file = gradwalk::load_safetensors(path);
  try {
    const auto found = file.metadata.find("format");
    check<FileError>(found != file.metadata.end() && found->second == format,
                     "is not a model of this program");
    for (const auto& [name, values] : file.tensors) {
      check<FileError>(all_finite(values), gradwalk::in_quotes(name),
                       " holds numbers that are not finite");
    }
    parse(file);
  } catch (const std::exception& e) {
    throw FileError(gradwalk::message(path, ": ", e.what()));
  }
}

json config_of(const gradwalk::Checkpoint& file) {
  json config = json_of(file, "config");
  check<FileError>(config.is_object(), "its configuration must be an object");
  return config;
}

std::size_t size_at(const json& config, const char* key, std::size_t low, std::size_t high) {
  const json value = field(config, key);
  check<FileError>(value.is_number_unsigned() && value >= low && value <= high, key,
                   " is not a number from ", low, " to ", high);
  return value.get<std::size_t>();
}

bool flag_at(const json& config, const char* key) {
  const json value = field(config, key);
  check<FileError>(value.is_boolean(), key, " is neither true nor false");
  return value.get<bool>();
}

std::string choice_at(const json& config, const char* key,
                      const std::vector<std::string>& choices) {
  const json value = field(config, key);
  check<FileError>(value.is_string(), key, " is not a text");
  const auto text = value.get<std::string>();
  check<FileError>(std::find(choices.begin(), choices.end(), text) != choices.end(), key, " is ",
                   gradwalk::in_quotes(text), ", which this program does not know");
  return text;
}

std::vector<std::string> texts_of(const gradwalk::Checkpoint& file, const char* key) {
  const json list = json_of(file, key);
  check<FileError>(list.is_array() && std::all_of(list.begin(), list.end(),
                                                  [](const json& x) { return x.is_string(); }),
                   key, " is not a list of texts");
  return list.get<std::vector<std::string>>();
}

void check_shape(const gradwalk::Checkpoint& file, const std::string& name,
                 const gradwalk::Shape& shape) {
  const auto found = file.tensors.find(name);
  check<FileError>(found != file.tensors.end() && found->second.shape() == shape, name,
                   " is not of shape ", shape);
}

Overflow::Overflow()
    : std::runtime_error("the model's weights are so large that its numbers overflow") {}

void check_finite(const gradwalk::Array& logits) {
  if (!all_finite(logits)) throw Overflow();
}

int with_model_file(const std::string& path, const std::function<int()>& run) {
  try {
    return run();
  } catch (const Overflow& e) {
    throw FileError(gradwalk::message(path, ": ", e.what()));
  }
}
