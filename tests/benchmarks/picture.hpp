// What was measured, in figures and as one picture.
#pragma once

#include <string>
#include <vector>

// Three digits, and never an exponent; "-" for what was not measured, 0.
std::string number(double value);

// A bar: ours as a share of libtorch's time, or of our own where there is no libtorch.
struct Bar {
  std::string label;
  double ours, libtorch, floor;  // milliseconds; 0: not measured
};
// Milliseconds of a step as one size grows.
struct Curve {
  std::string size;  // "V", "T", "N" or "H"
  std::vector<double> at, ours, libtorch;
};

// Throws std::runtime_error where the file cannot be written.
void write_svg(const std::string& path, const std::string& machine, const std::vector<Bar>& bars,
               const std::vector<Curve>& curves);
