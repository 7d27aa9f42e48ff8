#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  const Tensor x({3, 0, 4}, true), zero({0, 0}, true), large(full({2}, 800), true);
  struct Case {
    const char* what;
    std::function<Tensor()> loss;
    std::string begins, says;
  } const cases[] = {
      {"a log of -1 on the way forward", [&] { return sum(log(x - 1)); },
       "nan trap: 'log' made nan", "The trap must be there before the loss is computed."},
      {"an overflow of exp", [&] { return sum(exp(large) * 0); }, "nan trap: 'exp' made inf",
       "The trap must be there before the loss is computed."},
      {"a division by 0 on the way back", [&] { return sqrt(sum(zero * zero)); },
       "nan trap: 'div' made inf", "This one is born on the way back: call backward()."},
      {"a step without a NaN", [&] { return sum(x * x); }, "", ""},
  };
  for (const Case& c : cases) {
    const std::string got = where_nan(c.loss);
    const std::size_t n = c.begins.empty() ? got.size() : c.begins.size();
    same(c.what, '"' + got.substr(0, n) + '"', '"' + c.begins + '"', got.empty() ? c.says : "");
  }
  for (const std::vector<Real>& at : {std::vector<Real>{3, 4}, {-1, 0}, {0, 0}, {1e-3, 1e-3}}) {
    const Tensor v(at, true), y = ::norm(v);
    const Real size = std::hypot(at[0], at[1]);
    const std::string of = message(" of norm at {", at[0], ", ", at[1], "}");
    if (size > 0) same("the value" + of, y.item(), size);
    const Array got = dense(gradients(y, {v})[0]).value();
    const Array right = size == 0 ? full({2}, 0) : (v * (1 / size)).value();
    for (std::size_t i = 0; i < 2; ++i) {
      if (std::isfinite(got.data()[i]) && std::abs(got.data()[i] - right.data()[i]) < 1e-5)
        continue;
      wrong(
          message("the gradient of norm at {", at[0], ", ", at[1], "}\n  at [", i, "]: expected ",
                  right.data()[i], ", got ", got.data()[i]),
          std::isfinite(got.data()[i])
              ? ""
              : "sqrt's rule is dy / (2 y), and y is 0 here: keep what is below the root above 0.");
    }
  }
}

}  // namespace course
