// JSON that anybody may have written.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "layers/files/json.hpp"

// Throws as check_json() does.
template <class Json = nlohmann::json>
Json parse_json(const std::string& text) {
  gradwalk::check_json(text);
  return Json::parse(text);
}
