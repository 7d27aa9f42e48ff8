// A Tensor is a handle to a Node: a value, and how it was made. Copying a Tensor copies the handle,
// never the numbers. Each op passes through record(), which keeps the op's inputs and its
// derivative rule; that is the whole graph.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "core/array.hpp"

namespace gradwalk {

struct Node;
class Tensor;
using Tensors = std::vector<Tensor>;  // handles, too

// The gradient of a tensor: none, dense, or only the part that is not zero (see gradient.hpp). A
// list holds one for each output of an op that has several (see multi_output.hpp).
struct RowSparse;
struct Slice;
using Gradient = std::variant<std::monostate, Tensor, RowSparse, Slice, Tensors>;
using Gradients = std::vector<Gradient>;

class Tensor {
  using List = std::initializer_list<Real>;

 public:
  Tensor() = default;  // refers to nothing
  // A leaf, from an array, nested braces, a std::vector, or any array or expression of xtensor.
  explicit Tensor(Array&& value, bool requires_grad = false);
  explicit Tensor(List v, bool requires_grad = false) : Tensor(Array(v), requires_grad) {}
  explicit Tensor(std::initializer_list<List> v, bool requires_grad = false)
      : Tensor(Array(v), requires_grad) {}
  explicit Tensor(const std::vector<Real>& v, bool requires_grad = false)
      : Tensor(empty({v.size()}), requires_grad) {
    std::copy(v.begin(), v.end(), mutable_value().begin());
  }
  template <class E>
  explicit Tensor(const xt::xexpression<E>& e, bool requires_grad = false)
      : Tensor(Array(e), requires_grad) {}

  bool defined() const { return node_ != nullptr; }
  const Array& value() const&;
  Array value() const&& { return read(nullptr); }  // a temporary may die before its value
  // The value, to be changed in place, in its shape, as an optimizer does. A backward() that still
  // needs the old value will refuse. Call it again for each change: it notes when that was.
  Array& mutable_value() { return write(nullptr); }
  // The whole value, for someone who reads, or changes, only these rows.
  const Array& value(const Indices& rows) const& { return read(&rows); }
  Array& mutable_value(const Indices& rows) { return write(&rows); }
  Real item() const;  // the number in a tensor of one element

  const Shape& shape() const&;
  Shape shape() const&& { return shape(); }
  std::size_t shape(std::size_t axis) const;  // length of one axis
  std::size_t dim() const { return shape().size(); }
  std::size_t size() const;  // number of elements

  bool requires_grad() const;
  void set_requires_grad(bool on);  // leaves only
  const Gradient& grad() const;     // what backward() has added up in this leaf
  Gradient& mutable_grad();
  void zero_grad();

  Tensor detach() const { return Tensor(value()); }  // a copy of the value, outside the graph

  const std::shared_ptr<Node>& node() const { return node_; }  // null if it refers to nothing

 private:
  Array& read(const Indices* rows) const;
  Array& write(const Indices* rows);
  Node& leaf(const char* otherwise) const;
  std::shared_ptr<Node> node_;
};

// A derivative rule: y is the op's own output and dy = dLoss/dy; returns dLoss/dinput for each
// input. y is passed in and must not be captured: a node that owns itself is never freed.
using Rule = std::function<Gradients(const Tensor& y, const Tensor& dy)>;
using RuleOfMany = std::function<Gradients(const Tensors& dys)>;  // one dy for each output

struct Node {
  explicit Node(Array&& value);
  ~Node();
  Node(Node&&) = delete;
  void made_by(const char* op, Tensors inputs);  // with a gradient if one of the inputs has one
  void release();                                // forgets inputs and rule

  Array value;
  const char* op = "leaf";
  std::uint64_t id;           // counts upwards: an input is always older than what uses it
  std::uint64_t changed = 0;  // the next id when the value was last changed in place
  bool requires_grad = false;
  bool leaf = true;
  Tensors inputs;  // none in a leaf, or once the graph is released
  Rule rule;
  RuleOfMany rule_of_many;
  std::unique_ptr<Gradient> grad;  // of a leaf that has one: nodes are many and leaves few
  // Empty, or called before rows of the value (null: all) are read or changed, by any thread: those
  // of a large table may be brought up to date only then.
  std::function<void(const Indices* rows)> before_read;
  static thread_local const Node* running;  // whose rule runs now: see Tensor::read()
};

// The one place where ops enter the graph: wraps `value` in a tensor and, if an input requires a
// gradient, keeps the inputs and the rule. `op` must be a string literal.
Tensor record(const char* op, Tensors inputs, Array&& value, Rule rule);
bool grad_enabled();

// While one lives, nothing is recorded: evaluation, and an optimizer's own arithmetic.
// NoGrad(false) records again, inside another one.
class [[nodiscard]] NoGrad {
 public:
  explicit NoGrad(bool on = true);
  ~NoGrad();
  NoGrad(NoGrad&&) = delete;

 private:
  bool before_;
};

std::size_t live_nodes();  // how many nodes exist: a test for leaks

}  // namespace gradwalk

#include "core/gradient.hpp"  // RowSparse and Slice, without which a Gradient is incomplete
