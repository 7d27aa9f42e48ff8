#include "core/observer.hpp"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/error.hpp"
#include "core/gradient.hpp"

namespace gradwalk {
namespace {

bool finite(const Tensor& t) {
  const Real* x = t.value().data();
  return std::all_of(x, x + t.size(), [](Real v) { return std::isfinite(v); });
}

bool finite(const Tensors& ts) {
  return std::all_of(ts.begin(), ts.end(),
                     [](const Tensor& t) { return !t.defined() || finite(t); });
}

bool finite(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g)) return finite(*t);
  if (auto* s = std::get_if<RowSparse>(&g)) return finite(s->values);
  if (auto* s = std::get_if<Slice>(&g)) return finite(s->dy);
  return true;
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

void Observer::tell_backward(const Tensor& y, const Tensors& dy, const Gradients& dx) {
  for (Observer* o = first_; o != nullptr; o = o->next_) o->on_backward(y, dy, dx);
}

void PrintedTape::on_forward(const char* op, const Tensors& inputs, const Tensors& ys) {
  for (std::size_t k = 0; k < ys.size(); ++k) out_ << (k ? ",#" : "#") << ys[k].node()->id;
  out_ << ' ' << op;
  for (std::size_t k = 0; k < ys.size(); ++k) out_ << (k ? ", " : " ") << ys[k].shape();
  for (std::size_t i = 0; i < inputs.size(); ++i)
    out_ << (i ? ", #" : " <- #") << inputs[i].node()->id << ' ' << inputs[i].shape();
  out_ << '\n';
}

void PrintedTape::on_backward(const Tensor& y, const Tensors& dy, const Gradients& dx) {
  out_ << '#' << y.node()->id << ' ' << y.node()->op << " backward |dy| ";
  for (std::size_t k = 0; k < dy.size(); ++k)
    out_ << (k ? ", " : "") << (dy[k].defined() ? norm(dy[k]) : 0);
  const char* separator = " -> ";
  for (std::size_t i = 0; i < dx.size(); ++i) {
    if (std::holds_alternative<std::monostate>(dx[i])) continue;
    out_ << separator << "|d#" << y.node()->inputs[i].node()->id << "| " << norm(dx[i]);
    if (auto* s = std::get_if<RowSparse>(&dx[i]))
      out_ << " (" << s->rows.size() << " rows of " << s->num_rows << ')';
    separator = ", ";
  }
  out_ << '\n';
}

void NanTrap::on_forward(const char* op, const Tensors& inputs, const Tensors& ys) {
  if (finite(ys) || !finite(inputs)) return;
  std::string shapes;
  for (const Tensor& x : inputs) shapes += message(shapes.empty() ? "" : ", ", x.shape());
  throw std::runtime_error(message("nan trap: '", op, "' made a non-finite value ", ys[0].shape(),
                                   " from finite inputs ", shapes));
}

void NanTrap::on_backward(const Tensor& y, const Tensors& dy, const Gradients& dx) {
  if (!finite(dy)) return;
  for (std::size_t i = 0; i < dx.size(); ++i) {
    if (!finite(dx[i])) {
      throw std::runtime_error(message("nan trap: the derivative of '", y.node()->op,
                                       "' made a non-finite gradient for its input ", i, ' ',
                                       y.node()->inputs[i].shape(), " from a finite one"));
    }
  }
}

}  // namespace gradwalk
