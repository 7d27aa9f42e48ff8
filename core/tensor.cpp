#include "core/tensor.hpp"

#include <atomic>
#include <tuple>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/observer.hpp"

namespace gradwalk {
thread_local const Node* Node::running = nullptr;
static thread_local bool grad_is_enabled = true;
static std::atomic<std::uint64_t> next_id{1}, freed{0};
Node::Node(Array&& v) : value(std::move(v)), id(next_id++) {}
void Node::release() { inputs.clear(), rule = nullptr, rule_of_many = nullptr; }

// A chain of a million nodes must not be destroyed by a million nested destructors: each node hands
// what it owns to a list, which the outermost destructor empties.
Node::~Node() {
  ++freed;
  if (inputs.empty() && !grad) return;
  using Owned = std::tuple<Tensors, Rule, RuleOfMany, std::unique_ptr<Gradient>>;
  static thread_local std::vector<Owned>* list = nullptr;
  std::vector<Owned> waiting;
  if (list == nullptr) list = &waiting;
  try {
    list->push_back({std::move(inputs), std::move(rule), std::move(rule_of_many), std::move(grad)});
  } catch (const std::bad_alloc&) {  // no room in the list: they go with this node, nested
  }
  while (!waiting.empty()) {
    const Owned last = std::move(waiting.back());
    waiting.pop_back();
  }
  if (list == &waiting) list = nullptr;
}

void Node::made_by(const char* name, Tensors from) {
  op = name;
  inputs = std::move(from);
  for (const Tensor& x : inputs) {
    check<std::logic_error>(x.defined(), op, ": input ", &x - inputs.data(), " is undefined");
    if (x.requires_grad() && grad_is_enabled) requires_grad = true;
  }
  leaf = !requires_grad;
}

Tensor::Tensor(Array&& v, bool on) : node_(std::make_shared<Node>(std::move(v))) {
  node_->requires_grad = on;
}

const Shape& Tensor::shape() const& {
  check<std::logic_error>(defined(), "tensor: this handle refers to no tensor; was it assigned?");
  return node_->value.shape();
}

std::size_t Tensor::shape(std::size_t axis) const {
  check<std::out_of_range>(axis < dim(), "shape: axis ", axis, " is outside ", shape());
  return shape()[axis];
}

std::size_t Tensor::size() const { return shape(), node_->value.size(); }
bool Tensor::requires_grad() const { return defined() && node_->requires_grad; }
void Tensor::zero_grad() { mutable_grad() = std::monostate{}; }

const Array& Tensor::value() const& {  // most reads need no look at what follows
  return node_ && !node_->before_read && !Node::running ? node_->value : read(nullptr);
}

Array& Tensor::read(const Indices* rows) const {
  shape();  // throws if this handle refers to nothing
  if (node_->before_read) node_->before_read(rows);
  const Node* op = Node::running;  // its rule may only read what it read in the forward pass
  check<std::logic_error>(op == nullptr || node_->changed <= op->id || node_->id > op->id,
                          "backward: '", op ? op->op : "", "' needs the value that '", node_->op,
                          "' had in the forward pass, but it was changed in place since");
  return node_->value;
}

Array& Tensor::write(const Indices* rows) {
  shape();
  if (node_->before_read) node_->before_read(rows);
  node_->changed = next_id;
  return node_->value;
}

Real Tensor::item() const {
  check(size() == 1, "item: the tensor must hold one element, got shape ", shape());
  return *value().data();
}

Node& Tensor::leaf(const char* otherwise) const {
  check<std::logic_error>(defined() && node_->leaf, otherwise, ", this is the output of '",
                          defined() ? node_->op : "nothing", "'; use detach() or gradients()");
  return *node_;
}

void Tensor::set_requires_grad(bool on) {
  leaf("set_requires_grad: only a leaf can be switched").requires_grad = on;
}

const Gradient& Tensor::grad() const {
  static const Gradient none;
  const Node& node = leaf("grad: only leaves keep a gradient");
  return node.grad ? *node.grad : none;
}

Gradient& Tensor::mutable_grad() {
  Node& node = leaf("grad: only leaves keep a gradient");
  if (!node.grad) node.grad = std::make_unique<Gradient>();
  return *node.grad;
}

Tensor record(const char* op, Tensors inputs, Array&& value, Rule rule) {
  check<std::logic_error>(rule != nullptr, op, ": there is no rule");
  Tensor y(std::move(value));
  Node& node = *y.node();
  node.made_by(op, std::move(inputs));
  node.rule = std::move(rule);
  if (Observer::first()) Observer::tell_forward(op, node.inputs, {y});
  if (!node.requires_grad) node.release();
  return y;
}

bool grad_enabled() { return grad_is_enabled; }
NoGrad::NoGrad(bool on) : before_(std::exchange(grad_is_enabled, !on)) {}
NoGrad::~NoGrad() { grad_is_enabled = before_; }
std::size_t live_nodes() { return next_id - 1 - freed; }

}  // namespace gradwalk
