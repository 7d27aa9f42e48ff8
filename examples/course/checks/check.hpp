// What the checks of the course share. A check includes the learner's file first, which so sees
// only its own headers, and then compares what it returns with numbers.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/autograd.hpp"
#include "core/error.hpp"
#include "core/gradcheck.hpp"
#include "core/gradient.hpp"
#include "core/ops.hpp"
#include "core/print.hpp"

namespace course {

using namespace gradwalk;

void check_exercise();  // what each check defines; main() calls it

// A wrong answer that is often given, and what to say about it.
struct Mistake {
  Array answer;
  std::string says;
};
using Mistakes = std::vector<Mistake>;

// Ends the check unless both agree to 1e-9: prints where they do not, and which mistake it looks
// like: one of these, or a general one such as "twice as large everywhere".
void same(const std::string& what, const Array& got, const Array& expected,
          const Mistakes& mistakes = {});
void same(const std::string& what, double got, double expected, const Mistakes& mistakes = {});
void same(const std::string& what, const Gradient& got, const Array& expected,
          const Mistakes& mistakes = {});
void same(const std::string& what, const std::string& got, const std::string& expected,
          const std::string& says = "");

// check_gradients(), which ends the check where the engine and finite differences do not agree.
void derivatives(const std::string& what, const std::function<Tensor(const Tensors&)>& f,
                 const std::vector<Array>& inputs);

// Ends the check.
[[noreturn]] void wrong(const std::string& what, const std::string& says);

Array number(double x);  // an array of one

}  // namespace course
