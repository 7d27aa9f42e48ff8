// The catalogue of ops: one line of formula each, with its derivative. Letters: x input, y output,
// dy = dLoss/dy. Elementwise ops of two tensors broadcast as in NumPy: shapes are aligned at their
// last axes, and an axis of length 1, or a missing one, repeats. Wrong shapes throw
// std::invalid_argument that names the op and the shapes. Each op is checked to second order in
// tests/test_ops.cpp; a test fails when one has no row there.
#pragma once

#include <optional>
#include <string>

#include "core/random.hpp"
#include "core/tensor.hpp"

namespace gradwalk {

// ---- elementwise (ops/elementwise.cpp) ----
Tensor operator+(const Tensor& a, const Tensor& b);  // a + b            da = dy, db = dy
Tensor operator-(const Tensor& a, const Tensor& b);  // a - b            da = dy, db = -dy
Tensor operator*(const Tensor& a, const Tensor& b);  // a * b            da = dy * b, db = dy * a
Tensor operator/(const Tensor& a,
                 const Tensor& b);          // a / b            da = dy / b, db = -dy * y / b
Tensor operator-(const Tensor& x);          // -x               dx = -dy
Tensor operator*(const Tensor& x, Real c);  // c * x            dx = c * dy
inline Tensor operator*(Real c, const Tensor& x) { return x * c; }
Tensor operator+(const Tensor& x, Real c);  // x + c            dx = dy
Tensor pow(const Tensor& x, Real p);        // x^p              dx = dy * p * x^(p-1)
Tensor exp(const Tensor& x);                // e^x              dx = dy * y
Tensor log(const Tensor& x);                // log x            dx = dy / x
Tensor sqrt(const Tensor& x);               // sqrt x           dx = dy / 2y
Tensor abs(const Tensor& x);                // |x|              dx = dy * sign(x), 0 at 0
Tensor maximum(const Tensor& a,
               const Tensor& b);  // max(a, b)        dy to the greater; where equal, half to each
Tensor tanh(const Tensor& x);     // tanh x           dx = dy * (1 - y^2)
Tensor sigmoid(const Tensor& x);  // 1 / (1 + e^-x)   dx = dy * y * (1 - y)
Tensor relu(const Tensor& x);     // max(x, 0)        dx = dy where x > 0
// A mask is a tensor without a gradient: 0 is false, anything else true.
// y = mask ? a : b           da = mask ? dy : 0, db = mask ? 0 : dy
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);
// y = mask ? c : x           dx = mask ? 0 : dy
Tensor masked_fill(const Tensor& x, const Tensor& mask, Real c);
// y = x * m, where m is 0 with probability p and else 1 / (1 - p)     dx = dy * m
Tensor dropout(const Tensor& x, double p, Generator& generator);

// ---- shape (ops/shape.cpp) ----
Tensor reshape(const Tensor& x, const Shape& shape);  // same numbers, same order   dx = reshape(dy)
Tensor permute(
    const Tensor& x,
    const std::vector<std::size_t>& axes);  // axis i of y is axes[i] of x   dx = the inverse
Tensor transpose(const Tensor& x, std::size_t axis0 = 0, std::size_t axis1 = 1);  // swaps two axes
// y = x[..., begin:end, ...] along an axis                            dx = pad(dy)
Tensor slice(const Tensor& x, std::size_t axis, std::size_t begin, std::size_t end);
// y = `before` zeros, x, `after` zeros along an axis                  dx = slice(dy)
Tensor pad(const Tensor& x, std::size_t axis, std::size_t before, std::size_t after);
Tensor concat(const std::vector<Tensor>& xs,
              std::size_t axis);  // one after the other        dx_i = slice(dy)
Tensor stack(const std::vector<Tensor>& xs, std::size_t axis);  // side by side along a new axis
std::vector<Tensor> split(const Tensor& x, std::size_t size,
                          std::size_t axis);  // slices of `size`; the last may be shorter
Tensor broadcast_to(const Tensor& x,
                    const Shape& shape);  // repeats x                  dx = sum_to(dy)
Tensor sum_to(const Tensor& x,
              const Shape& shape);  // sums repeats back          dx = broadcast_to(dy)

// ---- reductions (ops/reduce.cpp): over all axes, or over some; keepdim leaves an axis of length 1
// for each ----
Tensor sum(const Tensor& x);  // dx = dy everywhere
Tensor sum(const Tensor& x, const std::vector<std::size_t>& axes, bool keepdim = false);
Tensor mean(const Tensor& x);  // dx = dy / n
Tensor mean(const Tensor& x, const std::vector<std::size_t>& axes, bool keepdim = false);
Tensor max(const Tensor& x);  // dy to the greatest, shared where several are
Tensor max(const Tensor& x, const std::vector<std::size_t>& axes, bool keepdim = false);
Tensor softmax(const Tensor& x, std::size_t axis);  // e^x / sum e^x     dx = y * (dy - sum(dy * y))
Tensor log_softmax(const Tensor& x, std::size_t axis);  // log softmax(x)    dx = dy - e^y * sum(dy)

// ---- products (ops/matmul.cpp) ----
// y[N,M] = op(a)[N,K] . op(b)[K,M], op being the transpose or nothing; with a leading axis [B,...],
// B products.
//   da = dy . b^T, db = a^T . dy
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);
// y[..., out] = x[..., in] . weight[out, in]^T + bias[out]; bias may be undefined.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
//   dx = dy . weight, dweight = dy^T . x, dbias = sum of dy's rows
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

// ---- lookup (ops/lookup.cpp) ----
// y[..., :] = table[ids[...], :] for ids of any shape: shape + [D].   dtable: dy's rows, tagged
// with where they go (RowSparse) Positions that hold padding_idx give the table no gradient. An id
// outside the table throws std::out_of_range.
Tensor gather_rows(const Tensor& table, const Indices& ids,
                   std::optional<std::int64_t> padding_idx = {}, bool sparse = true);
// y[num_rows, ...] = 0; y[rows[i], ...] += values[i, ...]              dvalues = gather_rows(dy,
// rows)
Tensor scatter_rows(const Tensor& values, const Indices& rows, std::size_t num_rows);

// ---- losses (ops/loss.cpp) ----
enum class Reduction { kNone, kMean, kSum };

struct CrossEntropyOptions {
  Array weight;                      // w[C], class weights; empty: all 1
  std::int64_t ignore_index = -100;  // targets that count for nothing
  double label_smoothing = 0;        // eps
  Reduction reduction = Reduction::kMean;
  CrossEntropyOptions() : weight(gradwalk::empty({0})) {}
};
// q[n,c] = w_c * ((1 - eps) * [c = targets_n] + eps / C), zero in ignored rows;  loss_n = -sum_c
// q[n,c] * log softmax(logits)[n,c] reduced by none, sum, or mean: sum_n loss_n / sum_n
// w[targets_n].      dlogits = (softmax * sum_c q - q) * dloss
// https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
// logits [N, C], targets [N]. Throws std::out_of_range for a target outside 0..C-1, and, where
// PyTorch returns NaN, std::invalid_argument for a mean over nothing.
Tensor softmax_cross_entropy(const Tensor& logits, const Indices& targets,
                             const CrossEntropyOptions& options = {});
// The same of log-probabilities, without label smoothing:  loss_n = -w_t * log_probs[n, t], t =
// targets_n
Tensor nll_loss(const Tensor& log_probs, const Indices& targets,
                const CrossEntropyOptions& options = {});
// loss = -p z log s - (1 - z) log(1 - s), s = sigmoid(logits), targets z in [0, 1], p = pos_weight
// (broadcast; 0-d 1 by default)
//   dlogits = ((1 - z) * s - p z * (1 - s)) * dloss
// https://pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
Tensor bce_with_logits(const Tensor& logits, const Array& targets,
                       const Array& pos_weight = full({}, 1),
                       Reduction reduction = Reduction::kMean);
Tensor reduce(const Tensor& losses,
              Reduction reduction);  // losses themselves, their mean or their sum

// ---- recurrent (ops/lstm.cpp) ----
struct LstmParameters {
  Tensor weight_ih;  // [4H, D]   rows by gate: i, f, g, o
  Tensor weight_hh;  // [4H, H]
  Tensor bias_ih;    // [4H]
  Tensor bias_hh;    // [4H]
};
struct LstmOutput {
  Tensor output;  // [T, N, H]   h_t; zero from a row's length on
  Tensor h_n;     // [N, H]      h at each row's last step
  Tensor c_n;     // [N, H]
};
// i,f,o = sigmoid, g = tanh of x_t . weight_ih^T + bias_ih + h . weight_hh^T + bias_hh;  c = f * c
// + i * g;  h = o * tanh(c) x [T, N, D], from h = c = 0; row n runs for lengths[n] steps, 1 <=
// lengths[n] <= T; all T where lengths is empty.
// https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html
// lstm is one fused op over the whole sequence; lstm_composed is its readable twin, made of the ops
// above.
LstmOutput lstm(const Tensor& x, const LstmParameters& parameters,
                const std::vector<std::size_t>& lengths = {});
LstmOutput lstm_composed(const Tensor& x, const LstmParameters& parameters,
                         const std::vector<std::size_t>& lengths = {});

}  // namespace gradwalk
