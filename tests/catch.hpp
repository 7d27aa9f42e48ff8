// The one header of Catch2 that tests include: versions 2 and 3 differ in names.
#pragma once

#include <exception>
#include <string>
#include <typeinfo>

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

// The text of what f throws: of an E itself, not of something derived from it, unless E is
// std::exception.
template <class E = std::exception, class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const E& e) {
    const bool exact = typeid(E) == typeid(std::exception) || typeid(e) == typeid(E);
    return exact ? e.what() : std::string("another type: ") + typeid(e).name();
  }
  return "nothing was thrown";
}
