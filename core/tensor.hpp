// A Tensor is a handle to a Node: a value, and how it was made. Copying a Tensor copies the handle,
// never the numbers. Each op passes through record(), which keeps the op's inputs and its
// derivative rule; that is the whole graph.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "core/array.hpp"

namespace gradwalk {

struct Node;
struct RowSparse;
class Tensor;
using Tensors = std::vector<Tensor>;

// The gradient of a tensor: none, dense, or some rows of a table (see gradient.hpp).
using Gradient = std::variant<std::monostate, Tensor, RowSparse>;
using Gradients = std::vector<Gradient>;

// A derivative rule: y is the op's own output and dy = dLoss/dy; returns dLoss/dinput for each
// input. y is passed in and must not be captured: a node that owns itself is never freed.
using Rule = std::function<Gradients(const Tensor& y, const Tensor& dy)>;

class Tensor {
 public:
  Tensor() = default;                                        // refers to nothing
  explicit Tensor(Array value, bool requires_grad = false);  // a leaf
  explicit Tensor(std::shared_ptr<Node> node) : node_(std::move(node)) {}

  bool defined() const { return node_ != nullptr; }
  const Array& value() const& { return settled(nullptr); }
  Array value() const&& { return settled(nullptr); }  // of a temporary: it may die before its value
  // The value, to be changed in place, in its shape: an optimizer's step. A backward() that still
  // needs the old value will refuse.
  Array& mutable_value();
  // The same for a reader, or a writer, of these rows only: an optimizer may owe the others steps.
  const Array& value(const Indices& rows) const { return settled(&rows); }
  Array& mutable_value(const Indices& rows);
  Real item() const;  // the number in a tensor of one element

  Shape shape() const;
  std::size_t dim() const;                    // number of axes
  std::size_t shape(std::size_t axis) const;  // length of one axis
  std::size_t size() const;                   // number of elements

  bool requires_grad() const;
  void set_requires_grad(bool on);  // leaves only
  const Gradient& grad() const;     // what backward() has accumulated in this leaf
  Gradient& mutable_grad();
  void zero_grad();  // back to none

  Tensor detach() const;  // a copy of the value, outside the graph

  const std::shared_ptr<Node>& node() const { return node_; }

 private:
  Array& array() const;                       // the value as it is
  Array& settled(const Indices* rows) const;  // the value with these rows, or all, up to date

  std::shared_ptr<Node> node_;
};

// Rows of a table's gradient: d table = sum_i e[rows[i]] (x) values[i]. Rows may repeat, in which
// case they add up.
struct RowSparse {
  Indices rows;              // of any shape
  Tensor values;             // that shape and then a row's: one block for each entry of rows
  std::size_t num_rows = 0;  // rows of the table
  bool coalesced = false;    // no row occurs twice

  Shape shape_of_rows(std::size_t n) const;  // n of them, one below the other
};

struct Node {
  struct Input {
    static constexpr std::uint32_t kUnread = ~std::uint32_t{0};
    Tensor tensor;
    std::uint32_t version;  // of its value when the op was recorded, or kUnread
  };
  using Inputs = std::vector<Input, Allocator<Input>>;

  explicit Node(Array&& value);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  Array value;
  const char* op = "leaf";
  std::uint64_t id;           // counts upwards: an input is always older than what uses it
  std::uint32_t version = 0;  // how often the value was changed in place
  bool requires_grad = false;
  bool leaf = true;
  Inputs inputs;  // none in a leaf, and once the graph is released
  Rule rule;
  std::unique_ptr<Gradient> grad;  // of a leaf that was given one: nodes are many and leaves few
  // Empty, or what brings these rows of the value (null: all) up to date: SparsePolicy::kExact lets
  // them wait until they are read. What the value stands for stays, and so does its version.
  std::function<void(const Indices* rows)> settle;
};

// The inputs of an op, listed in braces or kept in a vector. For parameters of functions only: the
// list ends with the call.
class InputList {
 public:
  // not in initializers of members, where GCC would warn of that end
  InputList(std::initializer_list<Tensor> list) { *this = {list.begin(), list.size()}; }
  InputList(const Tensors& list) : InputList(list.data(), list.size()) {}
  const Tensor* begin() const { return begin_; }
  const Tensor* end() const { return end_; }

 private:
  InputList(const Tensor* first, std::size_t n) : begin_(first), end_(first + n) {}
  const Tensor *begin_, *end_;
};

// The parts of record(): wraps the value; asks whether an input requires a gradient, with no NoGrad
// around; keeps inputs and rule; tells observers.
Tensor make_output(const char* op, InputList inputs, Array&& value);
bool needs_graph(InputList inputs);
void keep(const Tensor& y, InputList inputs, Rule rule, const Axes& unread);
void tell_observers(const char* op, InputList inputs, const Tensor& y);

// The one place where ops enter the graph: wraps `value` in a tensor and, if an input requires a
// gradient, keeps the inputs and the rule. `op` must be a string literal. `unread` lists the places
// of inputs whose value the rule does not read: changing them in place does no harm to backward().
// A template, so that where nothing is kept no std::function is made.
template <class R>
Tensor record(const char* op, InputList inputs, Array&& value, R&& rule, const Axes& unread = {}) {
  Tensor y = make_output(op, inputs, std::move(value));
  if (needs_graph(inputs)) keep(y, inputs, std::forward<R>(rule), unread);
  tell_observers(op, inputs, y);
  return y;
}

bool grad_enabled();

// While one lives, nothing is recorded: evaluation, and an optimizer's own arithmetic. NoGrad(false)
// records again, inside another one.
class NoGrad {
 public:
  explicit NoGrad(bool on = true);
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

std::size_t live_nodes();  // how many nodes exist: a test for leaks

}  // namespace gradwalk
