#include "core/autograd.hpp"

#include <map>
#include <mutex>

#include "core/error.hpp"
#include "core/gradient.hpp"
#include "core/observer.hpp"

namespace gradwalk {
// Turns the finished gradient of an op's output into those of its inputs.
static Gradients apply_rule(const Tensor& y, const Gradient& finished) {
  const Node& node = *y.node();
  check<std::logic_error>(!node.inputs.empty(), "backward: the graph behind '", node.op,
                          "' was released by an earlier backward(); ask that one to retain_graph");
  struct Running {  // meanwhile value() refuses what was changed since the op was recorded
    const Node* before;
    ~Running() { Node::running = before; }
  } const guard{std::exchange(Node::running, &node)};
  y.value();  // refuses, whether or not the rule reads it
  const Tensors* many = std::get_if<Tensors>(&finished);  // an op with several outputs
  const Tensor dy = many ? Tensor() : dense(finished);
  Gradients dx = many ? node.rule_of_many(*many) : node.rule(y, dy);
  check_partials(node, dx);
  if (Observer::first()) Observer::tell_backward(y, many ? *many : Tensors{dy}, dx);
  return dx;
}

// The chain rule from y back to nothing older than `oldest`. Calls reached(x, dx) with the finished
// gradient of each tensor x on the way.
template <class F>
static void walk(const Tensor& y, std::uint64_t oldest, bool release, const F& reached) {
  check(y.size() == 1, "backward: the loss must hold one element, got shape ", y.shape(),
        "; sum() or mean() it");
  check<std::logic_error>(y.requires_grad(),
                          "backward: the loss depends on no tensor that requires a gradient");
  // Youngest first. An input is always older than what uses it, so nothing that is still to come
  // can reach the first one: its gradient is finished.
  std::map<std::uint64_t, std::pair<Tensor, GradientSum>, std::greater<>> waiting;
  const auto add = [&](const Tensor& x, Gradient dx) {
    auto& [tensor, sum] = waiting[x.node()->id];
    tensor = x;
    sum.add(std::move(dx));
  };
  add(y, Tensor(full(y.shape(), 1)));
  while (!waiting.empty()) {
    auto youngest = waiting.extract(waiting.begin());
    auto& [x, sum] = youngest.mapped();
    Gradient dx = sum.take();
    if (Observer::first()) Observer::tell_gradient(x, dx);
    reached(x, dx);
    Node& node = *x.node();
    if (node.leaf || node.id == oldest) continue;
    Gradients partials = apply_rule(x, std::exchange(dx, {}));
    for (std::size_t i = 0; i < partials.size(); ++i) {
      const Tensor& input = node.inputs[i];
      if (input.requires_grad() && input.node()->id >= oldest && partials[i].index() != 0)
        add(input, std::move(partials[i]));
    }
    if (release) node.release();
  }
}

Gradients gradients(const Tensor& y, const Tensors& xs, bool create_graph, bool retain_graph) {
  std::uint64_t oldest = y.defined() ? y.node()->id : 0;
  for (const Tensor& x : xs) {
    check<std::logic_error>(x.requires_grad(), "gradients: each x must require a gradient");
    oldest = std::min(oldest, x.node()->id);
  }
  NoGrad guard(!create_graph);
  Gradients result(xs.size());
  walk(y, oldest, !create_graph && !retain_graph, [&](const Tensor& x, const Gradient& dx) {
    for (std::size_t k = 0; k < xs.size(); ++k) {
      if (xs[k].node() == x.node()) result[k] = dx;
    }
  });
  return result;
}

void backward(const Tensor& loss, bool retain_graph) {
  NoGrad guard;
  std::vector<std::pair<Tensor, Gradient>> leaves;
  walk(loss, 0, !retain_graph, [&](const Tensor& x, Gradient& dx) {
    if (x.node()->leaf) leaves.emplace_back(x, std::move(dx));
  });
  static std::mutex one_at_a_time;  // several threads may train one model
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  for (const auto& [leaf, gradient] : leaves)  // one that was set by hand may not fit
    check<std::logic_error>(misfit("backward", leaf.grad(), leaf.shape()).empty(),
                            "backward: a leaf ", leaf.shape(), " has a .grad() of another shape");
  for (auto& [leaf, gradient] : leaves) accumulate(leaf.mutable_grad(), std::move(gradient));
}

}  // namespace gradwalk
