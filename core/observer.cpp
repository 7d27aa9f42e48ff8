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

bool finite(const Gradient& g) {
  if (auto* t = std::get_if<Tensor>(&g)) return finite(*t);
  if (auto* s = std::get_if<RowSparse>(&g)) return finite(s->values);
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

void PrintedTape::on_forward(const char* op, const std::vector<Tensor>& inputs, const Tensor& y) {
  out_ << '#' << y.node()->id << ' ' << op << ' ' << y.shape();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    out_ << (i ? ", #" : " <- #") << inputs[i].node()->id << ' ' << inputs[i].shape();
  }
  out_ << '\n';
}

void PrintedTape::on_backward(const Tensor& y, const Tensor& dy, const Gradients& dx) {
  out_ << '#' << y.node()->id << ' ' << y.node()->op << " backward |dy| " << norm(dy);
  const char* separator = " -> ";
  for (std::size_t i = 0; i < dx.size(); ++i) {
    if (std::holds_alternative<std::monostate>(dx[i])) continue;
    out_ << separator << "|d#" << y.node()->inputs[i].tensor.node()->id << "| " << norm(dx[i]);
    if (auto* s = std::get_if<RowSparse>(&dx[i]))
      out_ << " (" << s->rows.size() << " rows of " << s->num_rows << ')';
    separator = ", ";
  }
  out_ << '\n';
}

void NanTrap::on_forward(const char* op, const std::vector<Tensor>& inputs, const Tensor& y) {
  if (finite(y) ||
      !std::all_of(inputs.begin(), inputs.end(), [](const Tensor& x) { return finite(x); }))
    return;
  std::string shapes;
  for (const Tensor& x : inputs) shapes += message(shapes.empty() ? "" : ", ", x.shape());
  throw std::runtime_error(message("nan trap: '", op, "' made a non-finite value ", y.shape(),
                                   " from finite inputs ", shapes));
}

void NanTrap::on_backward(const Tensor& y, const Tensor& dy, const Gradients& dx) {
  if (!finite(dy)) return;
  for (std::size_t i = 0; i < dx.size(); ++i) {
    if (!finite(dx[i])) {
      throw std::runtime_error(message("nan trap: the derivative of '", y.node()->op,
                                       "' made a non-finite gradient for its input ", i, ' ',
                                       y.node()->inputs[i].tensor.shape(), " from a finite one"));
    }
  }
}

}  // namespace gradwalk
