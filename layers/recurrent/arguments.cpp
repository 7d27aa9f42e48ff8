#include "layers/recurrent/check.hpp"

#include "core/error.hpp"

namespace gradwalk {

void check_lengths(const char* op, const Lengths& lengths, std::size_t T, std::size_t N) {
  check(lengths.size() == N, op, ": needs a length for each of ", N, " rows, got ", lengths.size());
  for (std::size_t n = 0; n < lengths.size(); ++n) {
    check(lengths[n] >= 1 && lengths[n] <= T, op, ": length ", lengths[n], " of row ", n,
          " is outside 1..", T);
  }
}

StateSizes check_parameters(const char* op, std::size_t gates, const Tensor& x,
                            const RecurrentParameters& p) {
  const bool projected = p.weight_hr.defined();
  check(p.weight_hh.dim() == 2, op, ": weight_hh must be [", gates, "H, H], got ",
        p.weight_hh.shape());
  if (projected)
    check(p.weight_hr.dim() == 2, op, ": weight_hr must be [R, H], got ", p.weight_hr.shape());
  const std::size_t R = p.weight_hh.shape(1), H = projected ? p.weight_hr.shape(1) : R;
  check(p.weight_hh.shape(0) == gates * H, op, ": weight_hh must be [", gates, "H, H], got ",
        p.weight_hh.shape());
  const Shape hr{R, H}, ih{gates * H, x.shape().back()}, bias{gates * H};
  if (projected)
    check(p.weight_hr.shape() == hr, op, ": weight_hr must be ", hr, ", got ", p.weight_hr.shape());
  check(p.weight_ih.shape() == ih, op, ": weight_ih must be ", ih, " for an input ", x.shape(),
        ", got ", p.weight_ih.shape());
  or_zeros(op, "bias_ih", p.bias_ih, bias);
  or_zeros(op, "bias_hh", p.bias_hh, bias);
  return {H, R};
}

Tensor or_zeros(const char* op, const char* name, const Tensor& t, const Shape& shape) {
  if (!t.defined()) return Tensor(full(shape, 0));
  check(t.shape() == shape, op, ": ", name, " must be ", shape, ", got ", t.shape());
  return t;
}

Tensor checked_h(const char* op, std::size_t gates, const Tensor& x, const Tensor& h,
                 const RecurrentParameters& p) {
  check(x.dim() == 2, op, ": the input must be [N, D], got ", x.shape());
  return or_zeros(op, "h", h, {x.shape(0), check_parameters(op, gates, x, p).R});
}

LstmSizes check_lstm(const Tensor& x, const Directions& directions, const Lengths& lengths,
                     const Tensor& h_0, const Tensor& c_0) {
  check(x.dim() == 3 && x.shape(0) > 0, "lstm: the input must be [T, N, D] with T > 0, got ",
        x.shape());
  check(directions.size() == 1 || directions.size() == 2, "lstm: has one direction or two, got ",
        directions.size());
  const auto [H, R] = check_parameters("lstm", 4, x, directions[0]);
  const auto [other_H, other_R] = check_parameters("lstm", 4, x, directions.back());
  check(H == other_H && R == other_R, "lstm: both directions must have the same sizes");
  const LstmSizes s{x.shape(0), x.shape(1), x.shape(2), H, directions.size() * H};
  if (!lengths.empty()) check_lengths("lstm", lengths, s.T, s.N);
  or_zeros("lstm", "h_0", h_0, {s.N, directions.size() * R});
  or_zeros("lstm", "c_0", c_0, {s.N, s.W});
  return s;
}

}  // namespace gradwalk
