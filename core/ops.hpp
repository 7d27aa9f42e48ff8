// The catalogue of ops: a line of formula each, and one of derivative. Letters: x input, y output,
// dy = dLoss/dy. y is shaped as x, or as a and b broadcast, where nothing else is said.
// Each op is checked to second order in tests/test_ops.cpp; a test fails when one has no row there.
//
// All throw std::invalid_argument for shapes or sizes that do not fit, std::out_of_range for an
// axis, index or id that is not there, both with the op's name; std::length_error for a result of
// more than 2^48 numbers; and std::logic_error where they read an undefined tensor.
//
// The source is the PyTorch function of the same name, unless another is named:
// https://pytorch.org/docs/stable/torch.html
// https://pytorch.org/docs/stable/nn.functional.html
#pragma once

#include <optional>
#include <vector>

#include "core/indices.hpp"
#include "core/random.hpp"
#include "core/tensor.hpp"

namespace gradwalk {

// ---- ops/create.cpp ----
// Leaves: numbers of a shape, and 0, 1, ... n-1.
Tensor zeros(const Shape& shape);
Tensor ones(const Shape& shape);
Tensor arange(std::size_t n);
// y[..., c] = 1 where c = ids[...], else 0.    ids of any shape -> shape + [num_classes]
Tensor one_hot(const Indices& ids, std::size_t num_classes);

// ---- ops/elementwise.cpp ----
// Two tensors broadcast as in NumPy: shapes are aligned at their last axes, and an axis of length
// 1, or a missing one, repeats; what was repeated gets the sum of its gradients.
//
//   y                  dx, or da and db
//   a + b              dy            dy                  PyTorch's add, sub, mul and div
//   a - b              dy            -dy
//   a * b              dy * b        dy * a
//   a / b              dy / b        -dy * y / b
//   -x                 -dy
//   x * c              dy * c
//   x + c              dy
//   pow(x, p)          dy * p * x^(p-1)
//   exp(x)             dy * y
//   log(x)             dy / x
//   sqrt(x)            dy / 2y
//   abs(x)             dy * sign(x), 0 at 0
//   erf(x)             dy * 2/sqrt(pi) * e^(-x^2)
//   maximum(a, b)      dy to the greater; half to each where they are equal
//   minimum(a, b)      dy to the smaller; half to each where they are equal
//   clamp(x, u, v)     dy where u <= x <= v;              y = min(max(x, u), v)
//   tanh(x)            dy * (1 - y^2)
//   sigmoid(x)         dy * y * (1 - y)
//   relu(x)            dy where x > 0
//   leaky_relu(x, c)   dy where x > 0, else dy * c;       y = x where x > 0, else c x
//   softplus(x)        dy * sigmoid(x);                   y = log(1 + e^x)
//   silu(x)            dy * s * (1 + x (1 - s));          y = x s, s = sigmoid(x)
//   gelu(x)            dy * (P + x e^(-x^2/2) / sqrt 2pi); y = x P, P = (1 + erf(x / sqrt 2)) / 2
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& x);
Tensor operator*(const Tensor& x, Real c);
inline Tensor operator*(Real c, const Tensor& x) { return x * c; }
Tensor operator+(const Tensor& x, Real c);
inline Tensor operator+(Real c, const Tensor& x) { return x + c; }
inline Tensor operator-(const Tensor& x, Real c) { return x + -c; }
inline Tensor operator-(Real c, const Tensor& x) { return -x + c; }
inline Tensor operator/(const Tensor& x, Real c) { return x * (1 / c); }
inline Tensor operator/(Real c, const Tensor& x) { return Tensor(full({}, c)) / x; }
Tensor pow(const Tensor& x, Real p);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor clamp(const Tensor& x, Real low, Real high);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, Real slope = Real(0.01));
Tensor softplus(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor gelu(const Tensor& x);
// y = mask ? a : b                        da = mask ? dy : 0, db = mask ? 0 : dy
// A mask is a tensor without a gradient: 0 is false, anything else true. All three broadcast.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);
// y = mask ? c : x                        dx = mask ? 0 : dy
// The mask broadcasts to x.
// https://pytorch.org/docs/stable/generated/torch.Tensor.masked_fill.html
Tensor masked_fill(const Tensor& x, const Tensor& mask, Real c);
// y = x * m, where m is 0 with probability p and else 1 / (1 - p)          dx = dy * m
// Throws std::invalid_argument unless 0 <= p < 1.
Tensor dropout(const Tensor& x, double p, Generator& generator);

// ---- ops/shape.cpp ----
// the same numbers in the same order, x.size() of them      dx = reshape(dy)
Tensor reshape(const Tensor& x, const Shape& shape);
// reshape without an axis of length 1, with one more, or with the axes from `start` on as one
Tensor squeeze(const Tensor& x, std::size_t axis);
Tensor unsqueeze(const Tensor& x, std::size_t axis);
Tensor flatten(const Tensor& x, std::size_t start = 0);
// axis i of y is axis axes[i] of x        dx = permute(dy), back
// Throws std::invalid_argument unless axes name each axis of x once.
Tensor permute(const Tensor& x, const Axes& axes);
// permute that swaps two axes
Tensor transpose(const Tensor& x, std::size_t axis0 = 0, std::size_t axis1 = 1);
// y = x[..., begin:end, ...]              dx = pad(dy)
// Throws std::out_of_range unless begin <= end <= x.shape(axis).
// https://pytorch.org/docs/stable/generated/torch.narrow.html
Tensor slice(const Tensor& x, std::size_t axis, std::size_t begin, std::size_t end);
// y = x[..., index, ...], an axis less
Tensor select(const Tensor& x, std::size_t axis, std::size_t index);
// y = zeros, x, zeros along an axis       dx = slice(dy)
Tensor pad(const Tensor& x, std::size_t axis, std::size_t before, std::size_t after);
// one after the other along an axis       dx_i = slice(dy)
// Shapes may differ along that axis only.
Tensor concat(const Tensors& xs, std::size_t axis);
// side by side along a new axis; shapes equal
Tensor stack(const Tensors& xs, std::size_t axis);
// slices of `size` > 0; the last may be shorter
Tensors split(const Tensor& x, std::size_t size, std::size_t axis);
// repeats x                               dx = sum_to(dy)
Tensor broadcast_to(const Tensor& x, const Shape& shape);
// sums what broadcast_to repeats          dx = broadcast_to(dy)
// https://pytorch.org/docs/stable/generated/torch.Tensor.sum_to_size.html
Tensor sum_to(const Tensor& x, const Shape& shape);

// ---- ops/reduce.cpp ----
// Over all axes, to one number []; or over some, which are gone, or of length 1 with keepdim.
//   sum    dx = dy
//   mean   dx = dy / n
//   max    dx = dy where x is the greatest, shared among equals; min likewise: PyTorch's amax, amin
//   var    sum (x - mean)^2 / (n - 1), or n if not unbiased; made of mean and sum
// Of no numbers mean, max, min and argmax throw std::invalid_argument; so does var of none, and of
// one if unbiased.
Tensor sum(const Tensor& x);
Tensor sum(const Tensor& x, const Axes& axes, bool keepdim = false);
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, const Axes& axes, bool keepdim = false);
Tensor max(const Tensor& x);
Tensor max(const Tensor& x, const Axes& axes, bool keepdim = false);
Tensor min(const Tensor& x);
Tensor min(const Tensor& x, const Axes& axes, bool keepdim = false);
Tensor var(const Tensor& x);
Tensor var(const Tensor& x, const Axes& axes, bool unbiased = true, bool keepdim = false);
// where along an axis the greatest is, the first among equals; that axis is gone
Indices argmax(const Tensor& x, std::size_t axis);
// e^x / sum e^x along an axis             dx = y * (dy - sum(dy * y))
Tensor softmax(const Tensor& x, std::size_t axis);
// log softmax(x)                          dx = dy - e^y * sum(dy)
Tensor log_softmax(const Tensor& x, std::size_t axis);

// ---- ops/matmul.cpp ----
// y[N,M] = op(a)[N,K] . op(b)[K,M], op being the transpose or nothing; with a leading axis [B,...]
// of both, B products.                    da = dy . b^T, db = a^T . dy
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);
// y[..., out] = x[..., in] . weight[out, in]^T + bias[out]; bias may be undefined.
//   dx = dy . weight, dweight = dy^T . x, dbias = the sum of dy's rows
// https://pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

// ---- ops/lookup.cpp ----
// y[..., :] = table[ids[...], :] for ids of any shape: shape + [D].
//   dtable = dy's rows, tagged with where they go (RowSparse); one dense tensor if not `sparse`
// Positions that hold padding_idx give the table no gradient; if scale_grad_by_freq, the others
// give theirs divided by how often their id occurs in ids. An id outside the table, padding_idx
// included, throws std::out_of_range.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html
Tensor gather_rows(const Tensor& table, const Indices& ids,
                   std::optional<std::int64_t> padding_idx = {}, bool sparse = true,
                   bool scale_grad_by_freq = false);
// y[num_rows, ...] = 0; y[rows[i], ...] += values[i, ...], i being a place in rows of any shape
//   dvalues = gather_rows(dy, rows)
// https://pytorch.org/docs/stable/generated/torch.index_add.html
Tensor scatter_rows(const Tensor& values, const Indices& rows, std::size_t num_rows);

// ---- ops/bag.cpp ----
// Lookups reduced as they are read: the looked-up rows are never laid out one by one, neither here
// nor in a derivative. x [R, D]; in, out and w [n]; sparse and scale_grad_by_freq as above, for x.
//
// y[num_out, D] = 0; y[out[i], :] += w[i] * x[in[i], :]
//   dx = weighted_rows(dy, out, in, R, w), dw = row_dots(x, in, dy, out)
// https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html
Tensor weighted_rows(const Tensor& x, const Indices& in, const Indices& out, std::size_t num_out,
                     const Tensor& w, bool sparse = true, bool scale_grad_by_freq = false);
// y[i] = sum_d a[ia[i], d] * b[ib[i], d]
//   da = weighted_rows(b, ib, ia, R, dy), db = weighted_rows(a, ia, ib, S, dy)
// a [R, D], b [S, D], ia and ib [n], y [n]; scale_grad_by_freq is a's.
// The derivative of weighted_rows: PyTorch has it inside embedding_bag.
Tensor row_dots(const Tensor& a, const Indices& ia, const Tensor& b, const Indices& ib,
                bool sparse = true, bool scale_grad_by_freq = false);
// y[o, d] = max over i with out[i] = o of x[in[i], d]; 0 where there is none.    y [num_out, D]
//   dx = dy to the element that was the greatest, the first among equals
// https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html
Tensor max_rows(const Tensor& x, const Indices& in, const Indices& out, std::size_t num_out,
                bool sparse = true, bool scale_grad_by_freq = false);

// ---- ops/conv.cpp ----
// windows[n, l, c*K + k] = x[n, c, l*stride + k*dilation], K = kernel_size, for as many l as fit
//   dx = fold(dwindows).                             x [N, C, L] -> windows [N, L', C*K]
// Windows are [N, C*K, L'] in PyTorch. This, fold and conv1d throw std::invalid_argument if
// kernel_size, stride or dilation is 0, or a window is longer than x with its padding.
Tensor unfold(const Tensor& x, std::size_t kernel_size, std::size_t stride = 1,
              std::size_t dilation = 1);
// x = 0; x[n, c, l*stride + k*dilation] += windows[n, l, c*K + k];  L = length
//   dwindows = unfold(dx).                           windows [N, L', C*K] -> x [N, C, length]
Tensor fold(const Tensor& windows, std::size_t length, std::size_t kernel_size,
            std::size_t stride = 1, std::size_t dilation = 1);
// y[n, o, l] = bias[o] + sum_ck weight[o, c, k] * x[n, c, l*stride + k*dilation - padding], where x
// is 0 outside of 0..L-1; bias may be undefined.   x [N, C, L], weight [out, C, K], y [N, out, L'],
// L' = floor((L + 2*padding - dilation*(K-1) - 1) / stride) + 1
//   made of pad, unfold, linear and transpose; with stride 1, of core/ops/conv.hpp
// https://pytorch.org/docs/stable/generated/torch.nn.functional.conv1d.html
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, std::size_t stride = 1,
              std::size_t padding = 0, std::size_t dilation = 1);

// ---- ops/loss.cpp ----
// The losses as they are, or one number: their mean or their sum.
enum class Reduction { kNone, kMean, kSum };

struct CrossEntropyOptions {
  Array weight = full({0}, 0);       // w[C], class weights; empty: all 1
  std::int64_t ignore_index = -100;  // targets that count for nothing
  double label_smoothing = 0;        // eps, in [0, 1]
  Reduction reduction = Reduction::kMean;
};
// q[n,c] = w_c * ((1 - eps) * [c = targets_n] + eps / C), zero in ignored rows
// loss_n = -sum_c q[n,c] * log softmax(logits)[n,c]     dlogits = (softmax * sum_c q - q) * dloss
// reduced by none, sum, or mean: sum_n loss_n / sum_n w[targets_n].   logits [N, C], targets [N]
// Throws std::out_of_range for a target outside 0..C-1, and, where PyTorch returns NaN,
// std::invalid_argument for a mean over nothing.
// https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
Tensor softmax_cross_entropy(const Tensor& logits, const Indices& targets,
                             const CrossEntropyOptions& options = {});
// The same of log-probabilities: loss_n = -w_t * log_probs[n, t]. Throws std::invalid_argument if
// label_smoothing is not 0.
// https://pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
Tensor nll_loss(const Tensor& log_probs, const Indices& targets,
                const CrossEntropyOptions& options = {});
// loss = -p z log s - (1 - z) log(1 - s), s = sigmoid(logits), targets z in [0, 1], p = pos_weight,
// which broadcasts.                       dlogits = ((1 - z) * s - p z * (1 - s)) * dloss
// Targets are shaped as the logits. Here and in mse_loss a mean of nothing throws
// std::invalid_argument.
// https://pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
Tensor bce_with_logits(const Tensor& logits, const Array& targets,
                       const Array& pos_weight = full({}, 1),
                       Reduction reduction = Reduction::kMean);
// loss = (x - target)^2, shapes equal      dx = 2 (x - target) * dloss, dtarget = -dx
// https://pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::kMean);
// the losses themselves, their mean or their sum: what PyTorch's losses do by `reduction`
Tensor reduce(const Tensor& losses, Reduction reduction);

}  // namespace gradwalk
