// Matrix products.
#include "core/error.hpp"
#include "core/machine/blas.hpp"
#include "core/machine/kernels.hpp"
#include "core/machine/threads.hpp"
#include "core/ops.hpp"

namespace gradwalk {
namespace {

Tensor product(Matrix a, Matrix b, const Shape& shape) {
  Array y = empty(shape);
  gemm(a, b, 0, matrix(y));
  return Tensor(std::move(y));
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool ta, bool tb) {
  const Shape &sa = a.shape(), &sb = b.shape();
  const std::size_t axes = sa.size();
  check((axes == 2 || axes == 3) && sb.size() == axes,
        "matmul: needs two matrices or two batches of them, got ", sa, " and ", sb);
  const std::size_t batch = axes == 3 ? sa[0] : 1, first = axes - 2;
  const std::size_t n = sa[first + (ta ? 1 : 0)], k = sa[first + (ta ? 0 : 1)];
  const std::size_t inner = sb[first + (tb ? 1 : 0)], m = sb[first + (tb ? 0 : 1)];
  check(k == inner, "matmul: inner sizes must agree, got ", sa, ta ? "^T" : "", " . ", sb,
        tb ? "^T" : "");
  check(axes == 2 || sa[0] == sb[0], "matmul: batch sizes must agree, got ", sa, " and ", sb);
  Array y = empty(axes == 3 ? Shape{batch, n, m} : Shape{n, m});
  const auto products = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const Matrix u(a.value().data() + i * n * k, sa[first], sa[first + 1]),
          v(b.value().data() + i * k * m, sb[first], sb[first + 1]);
      gemm(ta ? u.T() : u, tb ? v.T() : v, 0, {y.data() + i * n * m, n, m});
    }
  };
  if (batch < num_threads())  // gemm() splits each; inside a part it could not
    products(0, batch);
  else
    parallel_ranges(batch, kProductGrain / (n * k * m + 1) + 1,
                    [&](std::size_t begin, std::size_t end) {
                      const ManyProducts many;
                      products(begin, end);
                    });
  return record("matmul", {a, b}, std::move(y),
                [a, b, ta, tb](const Tensor&, const Tensor& dy) -> Gradients {
                  Gradients d(2);
                  // dL/da = dy . op(b)^T, and dL/db = op(a)^T . dy: transposed as a whole where a
                  // or b was
                  if (a.requires_grad())
                    d[0] = ta ? matmul(b, dy, tb, true) : matmul(dy, b, false, !tb);
                  if (b.requires_grad())
                    d[1] = tb ? matmul(dy, a, true, ta) : matmul(a, dy, !ta, false);
                  return d;
                });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check(weight.dim() == 2, "linear: the weight must be [out, in], got ", weight.shape());
  const std::size_t out = weight.shape(0), in = weight.shape(1);
  check(x.dim() >= 1 && x.shape().back() == in, "linear: input ", x.shape(), " must end in ", in,
        " for a weight ", weight.shape());
  check(!bias.defined() || bias.shape() == Shape{out}, "linear: the bias must be [", out, "], got ",
        bias.defined() ? bias.shape() : Shape{});
  Shape shape = x.shape();
  shape.back() = out;
  const std::size_t n = in == 0 ? size_of(shape) / std::max<std::size_t>(out, 1) : x.size() / in;
  Array y = empty(shape);
  if (bias.defined()) kernels::broadcast_row(n, out, bias.value().data(), y.data());
  gemm(matrix(x.value()), matrix(weight.value()).T(), bias.defined() ? 1 : 0, matrix(y));
  Tensors inputs{x, weight};
  if (bias.defined()) inputs.push_back(bias);
  return record("linear", inputs, std::move(y),
                [x, weight, bias, n, in, out](const Tensor&, const Tensor& dy) -> Gradients {
                  Gradients d(bias.defined() ? 3 : 2);
                  if (grad_enabled() || x.dim() == 2) {
                    const Tensor rows = reshape(dy, {n, out});
                    if (x.requires_grad())
                      d[0] = reshape(matmul(rows, weight), x.shape());  // dL/dx = dy . weight
                    if (weight.requires_grad())
                      d[1] = matmul(rows, reshape(x, {n, in}), true);  // dL/dweight = dy^T . x
                  } else {  // without the copies that reshape makes of other shapes
                    const Matrix rows = matrix(dy.value());
                    if (x.requires_grad()) d[0] = product(rows, matrix(weight.value()), x.shape());
                    if (weight.requires_grad())
                      d[1] = product(rows.T(), matrix(x.value()), weight.shape());
                  }
                  if (bias.requires_grad()) d[2] = sum_to(dy, {out});  // dL/dbias = sum_n dy
                  return d;
                });
}

}  // namespace gradwalk
