#include "core/tensor.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "core/error.hpp"
#include "core/observer.hpp"

namespace gradwalk {
namespace {

thread_local bool grad_is_enabled = true;
std::atomic<std::uint64_t> next_id{0}, ended{0};

Tensor make_node(Array&& value) {
  return Tensor(std::allocate_shared<Node>(Allocator<Node>(), std::move(value)));
}

}  // namespace

Node::Node(Array&& v) : value(std::move(v)), id(next_id++) {}

// A chain of a million nodes must not be destroyed by a million nested destructors: each node hands
// its inputs to a list that the outermost destructor empties.
Node::~Node() {
  ++ended;
  if (inputs.empty() && !rule) return;
  thread_local Inputs* orphans = nullptr;
  if (orphans != nullptr) {
    std::move(inputs.begin(), inputs.end(), std::back_inserter(*orphans));
    inputs.clear();
    rule = nullptr;  // whatever it captured is an input, or a constant without inputs of its own
    return;
  }
  Inputs list = std::move(inputs);
  orphans = &list;
  rule = nullptr;
  while (!list.empty()) {
    Input last = std::move(list.back());
    list.pop_back();
  }
  orphans = nullptr;
}

Tensor::Tensor(Array value, bool requires_grad) : Tensor(make_node(std::move(value))) {
  node_->requires_grad = requires_grad;
}

Array& Tensor::array() const {
  check<std::logic_error>(defined(), "tensor: this handle refers to no tensor; was it assigned?");
  return node_->value;
}

Array& Tensor::settled(const Indices* rows) const {
  Array& value = array();
  if (node_->settle) node_->settle(rows);
  return value;
}

Array& Tensor::mutable_value() {
  Array& value = settled(nullptr);
  ++node_->version;
  return value;
}

Array& Tensor::mutable_value(const Indices& rows) {
  Array& value = settled(&rows);
  ++node_->version;
  return value;
}

Real Tensor::item() const {
  check(size() == 1, "item: the tensor must hold one element, got shape ", shape());
  return *value().data();
}

Shape Tensor::shape() const { return shape_of(array()); }
std::size_t Tensor::dim() const { return array().dimension(); }
std::size_t Tensor::size() const { return array().size(); }

std::size_t Tensor::shape(std::size_t axis) const {
  check<std::out_of_range>(axis < dim(), "shape: axis ", axis, " is outside ", shape());
  return array().shape()[axis];
}

bool Tensor::requires_grad() const { return defined() && node_->requires_grad; }

void Tensor::set_requires_grad(bool on) {
  check<std::logic_error>(defined() && node_->leaf,
                          "set_requires_grad: only a leaf can be switched; use detach()");
  node_->requires_grad = on;
}

const Gradient& Tensor::grad() const {
  check<std::logic_error>(defined() && node_->leaf,
                          "grad: only leaves keep a gradient, this is the output of '",
                          defined() ? node_->op : "nothing",
                          "'; ask gradients(loss, {x}) for the gradient of any tensor");
  static const Gradient none;
  return node_->grad ? *node_->grad : none;
}

Gradient& Tensor::mutable_grad() {
  grad();  // throws where there can be none
  if (!node_->grad) node_->grad = std::make_unique<Gradient>();
  return *node_->grad;
}

void Tensor::zero_grad() { mutable_grad() = std::monostate{}; }
Tensor Tensor::detach() const { return Tensor(value()); }

bool needs_graph(InputList inputs) {
  return grad_is_enabled && std::any_of(inputs.begin(), inputs.end(),
                                        [](const Tensor& x) { return x.requires_grad(); });
}

Tensor make_output(const char* op, InputList inputs, Array&& value) {
  for (const Tensor& x : inputs)
    check<std::logic_error>(x.defined(), op, ": input ", &x - inputs.begin(),
                            " refers to no tensor");
  Tensor y = make_node(std::move(value));
  y.node()->op = op;
  return y;
}

void tell_observers(const char* op, InputList inputs, const Tensor& y) {
  for (Observer* o = Observer::first(); o != nullptr; o = o->next())
    o->on_forward(op, Tensors(inputs.begin(), inputs.end()), y);
}

void keep(const Tensor& y, InputList inputs, Rule rule, const Axes& unread) {
  Node& node = *y.node();
  check<std::logic_error>(rule != nullptr, node.op, ": there is no rule");
  node.leaf = false;
  node.requires_grad = true;
  node.inputs.reserve(static_cast<std::size_t>(inputs.end() - inputs.begin()));
  for (const Tensor& x : inputs) node.inputs.push_back({x, x.node()->version});
  for (std::size_t i : unread) {
    check<std::logic_error>(i < node.inputs.size(), node.op, ": unread input ", i, " of ",
                            node.inputs.size());
    node.inputs[i].version = Node::Input::kUnread;
  }
  node.rule = std::move(rule);
}

bool grad_enabled() { return grad_is_enabled; }
NoGrad::NoGrad(bool on) : before_(grad_is_enabled) { grad_is_enabled = !on; }
NoGrad::~NoGrad() { grad_is_enabled = before_; }
std::size_t live_nodes() { return next_id - ended; }

}  // namespace gradwalk
