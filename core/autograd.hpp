// The engine: the chain rule, walked over the graph from the loss back to the leaves.
#pragma once

#include "core/tensor.hpp"

namespace gradwalk {

// dy/dx for each x of xs; y holds one element. None where y does not depend on x. `create_graph`
// records the derivatives too, so that they can be differentiated again. The graph is released
// while walking unless create_graph or retain_graph asks to keep it. Throws std::logic_error if the
// walk needs a value that was changed in place, or a graph that was released.
// https://pytorch.org/docs/stable/generated/torch.autograd.grad.html
Gradients gradients(const Tensor& y, const Tensors& xs, bool create_graph = false,
                    bool retain_graph = false);

// Adds dloss/dleaf to the .grad() of every leaf that the loss depends on, and releases the graph as
// gradients() does. If it throws, no .grad() has changed. Losses of threads may share leaves.
// https://pytorch.org/docs/stable/generated/torch.Tensor.backward.html
void backward(const Tensor& loss, bool retain_graph = false);

}  // namespace gradwalk
