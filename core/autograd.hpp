// The engine: the chain rule, walked over the graph from the loss back to the leaves.
#pragma once

#include "core/tensor.hpp"

namespace gradwalk {

// dy/dx for each x of xs; y holds one element. None where y does not depend on x. Two of them may be
// handles to one tensor. `create_graph` records the derivatives too, so that they can be
// differentiated again. The graph is released while walking unless create_graph or retain_graph asks
// to keep it. Throws std::logic_error if a value that the walk needs was changed in place or its
// graph was already released.
// https://pytorch.org/docs/stable/generated/torch.autograd.grad.html
Gradients gradients(const Tensor& y, const std::vector<Tensor>& xs, bool create_graph = false,
                    bool retain_graph = false);

// Adds dloss/dleaf to the .grad() of every leaf that the loss depends on, and releases the graph as
// gradients() does, from which its errors are. If it throws, no .grad() has changed, unless memory
// has run out, but part of the graph may have been released.
// https://pytorch.org/docs/stable/generated/torch.Tensor.backward.html
void backward(const Tensor& loss, bool retain_graph = false);

}  // namespace gradwalk
