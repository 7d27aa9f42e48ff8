// What the command lines of the programs accept.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "core/error.hpp"
#include "examples/checkpoint.hpp"

// A number of [low, high], or of (0, high] where `above_zero`. CLI11's own Range lets nan pass, and
// newer releases of it read 1,5.
inline CLI::Validator number_in(double low, double high, bool above_zero = false) {
  const std::string range = above_zero ? gradwalk::message("greater than 0 and at most ", high)
                                       : gradwalk::message("from ", low, " to ", high);
  const auto check = [=](const std::string& text) {
    double x = 0;
    const bool ok = text.find_first_not_of("0123456789+-.eE") == std::string::npos &&
                    CLI::detail::lexical_cast(text, x) && x >= low && x <= high;
    return ok && !(above_zero && x == 0) ? "" : "must be " + range + ", got " + text;
  };
  return {check, range};
}
inline CLI::Validator number_above_zero(double high) { return number_in(0, high, true); }

// A whole number of up to 18 digits, which JSON and every shell can hold.
inline CLI::Validator seed_number() {
  const auto check = [](const std::string& text) {
    const bool ok = text.size() <= 18 && !text.empty() &&
                    text.find_first_not_of("0123456789") == std::string::npos;
    return ok ? std::string() : "must be a whole number of up to 18 digits, got " + text;
  };
  return {check, "whole number"};
}

// The name of a file or folder.
inline CLI::Validator not_empty() {
  return {[](const std::string& text) { return text.empty() ? "must not be empty" : ""; }, ""};
}

inline void add_report(CLI::App& app, std::string& path) {
  app.add_option("--report", path,
                 "Where configuration and figures go after each epoch: a page that draws them if\n"
                 "the name ends in .html, else JSON")
      ->check(not_empty());
}

inline void add_checkpoint(CLI::App& app, CheckpointOptions& options) {
  app.add_option("--checkpoint", options.save,
                 "Where the run is saved as it goes, a safetensors file: with --resume it goes on\n"
                 "after Ctrl-C or a kill, and ends in the same bits")
      ->check(not_empty());
  app.add_option("--every", options.every, "Minutes between two checkpoints; 0: after each step")
      ->check(number_in(0, 1e6))
      ->capture_default_str();
  app.add_option("--resume", options.resume,
                 "Go on from this checkpoint, other options being as they were; it is saved there\n"
                 "again unless --checkpoint says where")
      ->check(not_empty());
}
