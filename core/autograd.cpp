#include "core/autograd.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/observer.hpp"
#include "core/ops/lookup.hpp"

namespace gradwalk {
namespace {

using GradientOf = std::unordered_map<const Node*, Gradient>;
using Nodes = std::vector<std::shared_ptr<Node>>;

// The nodes that y depends on, youngest first. An input is always older than what uses it, so in
// this order every node comes after all of its users: when its turn comes its gradient is finished.
// Nothing older than `oldest` is collected.
Nodes collect(const Tensor& y, std::uint64_t oldest, GradientOf& gradient_of) {
  Nodes found, stack{y.node()};
  while (!stack.empty()) {
    std::shared_ptr<Node> node = std::move(stack.back());
    stack.pop_back();
    if (!node->requires_grad || node->id < oldest || !gradient_of.try_emplace(node.get()).second)
      continue;
    for (const Tensor& input : node->inputs) stack.push_back(input.node());
    found.push_back(std::move(node));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a->id > b->id; });
  return found;
}

void check_intact(const Node& node) {
  check<std::logic_error>(node.rule != nullptr, "backward: the graph behind '", node.op,
                          "' was released by an earlier backward(); ask that one to retain_graph");
  const char* changed = node.version != 0 ? node.op : nullptr;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Node& input = *node.inputs[i].node();
    if (node.input_versions[i] != kUnread && input.version != node.input_versions[i])
      changed = input.op;
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
    const Shape wanted = node.inputs[i].shape();
    Shape shape = wanted;
    if (auto* t = std::get_if<Tensor>(&dx[i])) shape = t->shape();  // throws if it is undefined
    if (auto* s = std::get_if<RowSparse>(&dx[i])) {
      shape = s->values.shape();  // [n, ...], of n rows
      if (!shape.empty() && shape[0] == s->rows.size()) shape[0] = s->num_rows;
      check_ids(node.op, s->rows, s->num_rows);
    }
    check<std::logic_error>(shape == wanted, "backward: the rule of '", node.op,
                            "' returned a gradient ", shape, " for its input ", i, ' ', wanted);
  }
}

// Hands each node its finished gradient and passes on what the node's rule makes of it. Gradients
// of leaves and of `keep` stay in the map.
void walk(const Tensor& y, Nodes nodes, const std::vector<Tensor>& keep, bool release,
          GradientOf& gradient_of) {
  gradient_of[y.node().get()] = Tensor(full(y.shape(), 1));
  for (std::shared_ptr<Node>& node : nodes) {
    Gradient& gradient = gradient_of[node.get()];
    if (node->leaf || std::holds_alternative<std::monostate>(gradient)) continue;
    check_intact(*node);
    {
      const Tensor dy = dense(gradient);
      const bool kept =
          std::any_of(keep.begin(), keep.end(), [&](const Tensor& x) { return x.node() == node; });
      if (!kept) gradient = std::monostate{};
      Gradients dx = node->rule(Tensor(node), dy);
      check_shapes(*node, dx);
      for (Observer* o = Observer::first(); o != nullptr; o = o->next())
        o->on_backward(Tensor(node), dy, dx);
      for (std::size_t i = 0; i < dx.size(); ++i) {
        const auto input = gradient_of.find(node->inputs[i].node().get());
        if (input != gradient_of.end()) accumulate(input->second, std::move(dx[i]));
      }
    }
    if (release) {
      node->inputs.clear();
      node->rule = nullptr;
      node.reset();
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
  GradientOf gradient_of;
  walk(y, collect(y, oldest, gradient_of), xs, !create_graph && !retain_graph, gradient_of);
  Gradients result;
  for (const Tensor& x : xs) result.push_back(gradient_of[x.node().get()]);
  return result;
}

void backward(const Tensor& loss, bool retain_graph) {
  check_differentiable(loss);
  NoGrad guard;
  GradientOf gradient_of;
  Nodes nodes = collect(loss, 0, gradient_of);
  Nodes leaves;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(leaves),
               [](const auto& n) { return n->leaf; });
  walk(loss, std::move(nodes), {}, !retain_graph, gradient_of);
  for (const std::shared_ptr<Node>& leaf : leaves) {
    Gradient& gradient = gradient_of[leaf.get()];
    // Two leaves may have been handed the same tensor (as by `a + b`): each keeps a buffer of its
    // own.
    if (auto* t = std::get_if<Tensor>(&gradient); t && t->node().use_count() > 1)
      gradient = t->detach();
    accumulate(leaf->grad, std::move(gradient));
  }
}

}  // namespace gradwalk
