// The one header of Catch2 that tests include: versions 2 and 3 differ in names.
#pragma once

#include <string>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
inline auto ContainsText(const std::string& s) { return Catch::Matchers::ContainsSubstring(s); }
#else
#include <catch2/catch.hpp>
inline auto ContainsText(const std::string& s) { return Catch::Matchers::Contains(s); }
#endif

// In double only: with Catch2's own overloads WithinRel(1.f, 1e-6) is ambiguous.
inline auto WithinRel(double target, double eps) { return Catch::Matchers::WithinRel(target, eps); }
inline auto WithinAbs(double target, double margin) {
  return Catch::Matchers::WithinAbs(target, margin);
}
