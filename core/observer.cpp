#include "core/observer.hpp"

#include <algorithm>
#include <cmath>

#include "core/callers.hpp"
#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/ops/broadcast.hpp"

namespace gradwalk {
namespace {

// The first element of t that is not finite; t.size() if there is none.
std::size_t first_bad(const Tensor& t) {
  const Real* x = t.node()->value.data();
  const Real* end = x + t.size();
  return static_cast<std::size_t>(std::find_if(x, end, [](Real v) { return !std::isfinite(v); }) -
                                  x);
}

bool finite(const Tensor& t) { return !t.defined() || first_bad(t) == t.size(); }
bool finite(const Tensors& ts) {
  return std::all_of(ts.begin(), ts.end(), [](const Tensor& t) { return finite(t); });
}

// The numbers of a gradient that is not finite; undefined if it is.
Tensor bad_part(const Gradient& g) {
  for (const Tensor& t : parts_of(g)) {
    if (!finite(t)) return t;
  }
  return {};
}

// "nan at [0, 1] of [2, 3]"
std::string bad_element(const Tensor& t) {
  const std::size_t at = first_bad(t);
  const Real v = t.node()->value.data()[at];  // -nan is what processors print
  return message(std::isnan(v) ? std::abs(v) : v, " at ", index_of(at, t.shape()), " of ",
                 t.shape());
}

// "; there a = -1" for each input that has an element where y has its first bad one
std::string inputs_there(const Tensor& y, const Tensors& inputs) {
  std::string there;
  const Shape& wide = y.shape();
  const Shape from_y = strides_in(wide, wide);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape& shape = inputs[i].shape();
    there += there.empty() ? ", where the inputs are " : " and ";
    bool fits = shape.size() <= wide.size();
    for (std::size_t k = 1; fits && k <= shape.size(); ++k)
      fits = shape[shape.size() - k] == 1 || shape[shape.size() - k] == wide[wide.size() - k];
    if (!fits) {
      there += message(shape);
      continue;
    }
    const Shape from_x = strides_in(shape, wide);
    std::size_t at = 0;
    for (std::size_t axis = 0; axis < wide.size(); ++axis)
      at += from_y[axis] == 0 ? 0 : first_bad(y) / from_y[axis] % wide[axis] * from_x[axis];
    there += message(inputs[i].node()->value.data()[at]);
  }
  return there;
}

[[noreturn]] void trapped(const std::string& what) {
  const std::string place = users_place();
  throw std::runtime_error("nan trap: " + what + (place.empty() ? "" : "; at " + place));
}

}  // namespace

thread_local Observer* Observer::first_ = nullptr;

Observer::Observer() : next_(first_) { first_ = this; }

Observer::~Observer() {
  Observer** link = &first_;
  while (*link && *link != this) link = &(*link)->next_;
  if (*link) *link = next_;  // none on another thread than the one that it watched
}

void Observer::tell_forward(const char* op, const Tensors& inputs, const Tensors& ys) {
  for (Observer* o = first_; o != nullptr; o = o->next_) o->on_forward(op, inputs, ys);
}

void Observer::tell_gradient(const Tensor& x, const Gradient& dx) {
  for (Observer* o = first_; o != nullptr; o = o->next_) o->on_gradient(x, dx);
}

void Observer::tell_update(const Tensor& parameter, const char* policy, bool done) {
  for (Observer* o = first_; o != nullptr; o = o->next_) o->on_update(parameter, policy, done);
}

void Observer::tell_parameter(const std::string& name, const Tensor& parameter) {
  for (Observer* o = first_; o != nullptr; o = o->next_) o->on_parameter(name, parameter);
}

void Observer::tell_backward(const Tensor& y, const Tensors& dy, const Gradients& dx) {
  for (Observer* o = first_; o != nullptr; o = o->next_) o->on_backward(y, dy, dx);
}

void NanTrap::on_forward(const char* op, const Tensors& inputs, const Tensors& ys) {
  if (finite(ys) || !finite(inputs)) return;
  const Tensor& y = *std::find_if(ys.begin(), ys.end(), [](const Tensor& t) { return !finite(t); });
  trapped(message("'", op, "' made ", bad_element(y), inputs_there(y, inputs)));
}

// Each part that was added was finite: on_backward() has seen it.
void NanTrap::on_gradient(const Tensor& x, const Gradient& dx) {
  const Tensor bad = bad_part(dx);
  if (bad.defined())
    trapped(message("the gradients of #", x.node()->id, " '", x.node()->op, "' add up to ",
                    bad_element(bad), ", though each is finite"));
}

void NanTrap::on_update(const Tensor& parameter, const char*, bool done) {
  if (done && !finite(parameter))
    trapped(message("the optimizer made ", bad_element(parameter), " of #", parameter.node()->id));
}

void NanTrap::on_backward(const Tensor& y, const Tensors& dy, const Gradients& dx) {
  if (!finite(dy) || !finite(y.node()->inputs)) return;
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const Tensor bad = bad_part(dx[i]);
    if (bad.defined())
      trapped(message("the rule of '", y.node()->op, "' made ", bad_element(bad),
                      " of the gradient of its input ", i, ' ', y.node()->inputs[i].shape(),
                      ", from a finite one"));
  }
}

}  // namespace gradwalk
