#include "core/autograd.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/observer.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {
namespace {

// A node, and what has arrived of its gradient.
struct Arrival {
  std::shared_ptr<Node> node;
  Gradient gradient;
};

void check_intact(const Node& node) {
  check<std::logic_error>(node.rule != nullptr, "backward: the graph behind '", node.op,
                          "' was released by an earlier backward(); ask that one to retain_graph");
  const char* changed = node.version != 0 ? node.op : nullptr;
  for (const Node::Input& input : node.inputs) {
    const Node& read = *input.tensor.node();
    if (input.version != Node::Input::kUnread && input.version != read.version) changed = read.op;
  }
  check<std::logic_error>(changed == nullptr, "backward: '", node.op, "' needs the value that '",
                          changed ? changed : "",
                          "' had in the forward pass, but it was changed in place since");
}

// A rule of somebody's own may forget the sum_to that undoes broadcasting.
void check_shapes(const Node& node, const Gradients& dx) {
  check<std::logic_error>(dx.size() == node.inputs.size(), "backward: the rule of '", node.op,
                          "' returned ", dx.size(), " gradients for ", node.inputs.size(),
                          " inputs");
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const Tensor& input = node.inputs[i].tensor;
    auto* t = std::get_if<Tensor>(&dx[i]);
    if (t && t->defined() && t->node()->value.shape() == input.node()->value.shape()) continue;
    const auto* sparse = std::get_if<RowSparse>(&dx[i]);
    if (sparse) t = &sparse->values;
    if (t == nullptr) continue;  // none
    check<std::logic_error>(t->defined(), "backward: the rule of '", node.op,
                            "' returned an undefined tensor for its input ", i);
    Shape shape = t->shape();
    if (sparse) {
      const auto& rows = sparse->rows.shape();
      check<std::logic_error>(
          rows.size() <= shape.size() && std::equal(rows.begin(), rows.end(), shape.begin()),
          "backward: the rule of '", node.op, "' returned rows ", shape_of(sparse->rows),
          " with values ", shape, " for its input ", i);
      check_ids(node.op, sparse->rows, sparse->num_rows);
      shape = sparse->shape_of_rows(sparse->num_rows);
    }
    check<std::logic_error>(shape == input.shape(), "backward: the rule of '", node.op,
                            "' returned a gradient ", shape, " for its input ", i, ' ',
                            input.shape());
  }
}

// The chain rule from y back to nothing older than `oldest`. Calls reached(arrival) for each node
// with its finished gradient, which a leaf's may be taken from.
template <class F>
void walk(const Tensor& y, std::uint64_t oldest, bool release, const F& reached) {
  // Youngest first. An input is always older than what uses it, so nothing that is still to come
  // can reach the first one: its gradient is finished.
  std::map<std::uint64_t, Arrival, std::greater<>> waiting;
  waiting[y.node()->id] = {y.node(), Tensor(full(y.shape(), 1))};
  while (!waiting.empty()) {
    Arrival arrival = std::move(waiting.begin()->second);
    waiting.erase(waiting.begin());
    const bool leaf = arrival.node->leaf;
    reached(arrival);
    if (leaf) continue;
    Node& node = *arrival.node;
    check_intact(node);
    const Tensor dy = dense(arrival.gradient);
    arrival.gradient = std::monostate{};
    Gradients dx = node.rule(Tensor(arrival.node), dy);
    check_shapes(node, dx);
    for (Observer* o = Observer::first(); o != nullptr; o = o->next())
      o->on_backward(Tensor(arrival.node), dy, dx);
    for (std::size_t i = 0; i < dx.size(); ++i) {
      const std::shared_ptr<Node>& input = node.inputs[i].tensor.node();
      if (!input->requires_grad || input->id < oldest ||
          std::holds_alternative<std::monostate>(dx[i]))
        continue;
      Arrival& there = waiting[input->id];
      there.node = input;
      accumulate(there.gradient, std::move(dx[i]));
    }
    if (release) {
      node.inputs.clear();
      node.rule = nullptr;
    }
  }
}

void check_differentiable(const Tensor& y) {
  check(y.size() == 1, "backward: the loss must hold one element, got shape ", y.shape(),
        "; sum() or mean() it");
  check<std::logic_error>(
      y.requires_grad(),
      "backward: the loss does not depend on any tensor that requires a gradient");
}

}  // namespace

Gradients gradients(const Tensor& y, const std::vector<Tensor>& xs, bool create_graph,
                    bool retain_graph) {
  check_differentiable(y);
  std::uint64_t oldest = y.node()->id;
  for (const Tensor& x : xs) {
    check<std::logic_error>(x.requires_grad(), "gradients: each x must require a gradient");
    oldest = std::min(oldest, x.node()->id);
  }
  NoGrad guard(!create_graph);
  Gradients result(xs.size());
  walk(y, oldest, !create_graph && !retain_graph, [&](const Arrival& arrival) {
    for (std::size_t k = 0; k < xs.size(); ++k) {
      if (xs[k].node() == arrival.node) result[k] = arrival.gradient;
    }
  });
  return result;
}

void backward(const Tensor& loss, bool retain_graph) {
  check_differentiable(loss);
  NoGrad guard;
  std::vector<Arrival> leaves;
  walk(loss, 0, !retain_graph, [&](Arrival& arrival) {
    if (arrival.node->leaf) leaves.push_back(std::move(arrival));
  });
  for (auto& [leaf, gradient] : leaves) {
    // Two leaves may have been handed the same tensor (as by `a + b`): each keeps a buffer of its
    // own.
    auto* sparse = std::get_if<RowSparse>(&gradient);
    Tensor* numbers = sparse ? &sparse->values : std::get_if<Tensor>(&gradient);
    if (numbers->node().use_count() > 1) *numbers = numbers->detach();
    accumulate(Tensor(leaf).mutable_grad(), std::move(gradient));
  }
}

}  // namespace gradwalk
