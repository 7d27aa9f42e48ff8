// JSON that anybody may have written.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/error.hpp"
#include "core/text.hpp"

// Throws gradwalk::FileError, also for what is nested so deeply that copying it could overflow the
// stack.
template <class Json = nlohmann::json>
Json parse_json(const std::string& text) {
  constexpr int kMaxDepth = 50;
  const auto watch = [](int depth, typename Json::parse_event_t, Json&) {
    gradwalk::check<gradwalk::FileError>(depth <= kMaxDepth, "is nested too deeply");
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const nlohmann::json::exception& e) {
    throw gradwalk::FileError("is not JSON: " + std::string(e.what()).substr(0, 200));  // it quotes
  }
}
