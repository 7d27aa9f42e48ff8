#include EXERCISE
#include <limits>

#include "examples/course/checks/check.hpp"
namespace course {

const std::vector<std::size_t> lengths{3, 1, 2};

// rows of a where t < lengths[n] + shift, else of b
Array chosen(std::size_t t, const Tensor& a, const Tensor& b, std::size_t shift = 0) {
  Array h = b.value();
  for (std::size_t n = 0; n < 3; ++n) {
    if (t < lengths[n] + shift) std::copy_n(&a.value()(n, 0), 4, &h(n, 0));
  }
  return h;
}

void check_exercise() {
  Generator generator(14);
  const Tensor none = zeros({3, 4}), one = ones({3, 4});
  for (std::size_t t = 0; t < 3; ++t) {
    const Tensor after(normal({3, 4}, generator), true);
    const Tensor before(normal({3, 4}, generator), true);
    const Mistakes mistakes{
        {chosen(t, before, after), "The other way round: sentences that go on keep their state."},
        {chosen(t, after, before, 1), "Off by one: sentence n ends after step lengths[n] - 1."},
        {chosen(t, after, none), "Rows that have ended are 0; they keep the state before."},
        {after.value(), "All rows go on: padding is read as if it were words."}};
    same(message("h at t = ", t), keep_ended(after, before, lengths, t).value(),
         chosen(t, after, before), mistakes);
  }
  for (std::size_t t = 0; t < 3; ++t) {
    Tensor after(normal({3, 4}, generator), true);
    const Tensor before(normal({3, 4}, generator), true);
    const Real nan = std::numeric_limits<Real>::quiet_NaN();
    Array& poisoned = after.mutable_value();  // NaN where a sentence has ended
    for (std::size_t n = 0; n < 3; ++n) {
      if (t >= lengths[n]) std::fill_n(&poisoned(n, 0), 4, nan);
    }
    const Tensor h = keep_ended(after, before, lengths, t);
    for (Real v : h.value()) {
      if (std::isnan(v))
        wrong(message("h at t = ", t, " with NaN in the padding"),
              "NaN comes through: 0 * NaN is NaN. Choose with where() instead of multiplying.");
    }
    const Gradients d = gradients(sum(h), {after, before});
    same(message("dL/dafter at t = ", t), d[0], chosen(t, one, none));
    same(message("dL/dbefore at t = ", t), d[1], chosen(t, none, one));
  }
}

}  // namespace course
