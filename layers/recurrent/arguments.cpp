#include "layers/recurrent/arguments.hpp"

#include "core/error.hpp"

namespace gradwalk {

Tensor or_zeros(const char* op, const char* name, const Tensor& t, const Shape& shape) {
  if (!t.defined()) return Tensor(full(shape, 0));
  check(t.shape() == shape, op, ": ", name, " must be ", shape, ", got ", t.shape());
  return t;
}

StateSizes check_parameters(const char* op, std::size_t gates, const Tensor& x,
                            const RecurrentParameters& p) {
  check(p.weight_ih.defined() && p.weight_hh.defined(), op, ": needs weight_ih and weight_hh");
  const bool projected = p.weight_hr.defined();
  check(!projected || gates == 4, op, ": only an LSTM has a weight_hr");
  if (projected)
    check(p.weight_hr.dim() == 2, op, ": weight_hr must be [R, H], got ", p.weight_hr.shape());
  const std::size_t R = p.weight_hh.dim() == 2 ? p.weight_hh.shape(1) : 0,
                    H = projected ? p.weight_hr.shape(1) : R;
  check(H > 0 && R > 0 && p.weight_hh.shape() == Shape{gates * H, R}, op, ": weight_hh must be [",
        gates, "H, ", projected ? "R] with R" : "H] with H", " > 0, got ", p.weight_hh.shape());
  const Shape hr{R, H}, ih{gates * H, x.shape().back()}, bias{gates * H};
  if (projected)
    check(p.weight_hr.shape() == hr, op, ": weight_hr must be ", hr, ", got ", p.weight_hr.shape());
  check(p.weight_ih.shape() == ih, op, ": weight_ih must be ", ih, " for an input ", x.shape(),
        ", got ", p.weight_ih.shape());
  or_zeros(op, "bias_ih", p.bias_ih, bias);
  or_zeros(op, "bias_hh", p.bias_hh, bias);
  return {H, R};
}

Tensor checked_h(const char* op, std::size_t gates, const Tensor& x, const Tensor& h,
                 const RecurrentParameters& p) {
  check(x.dim() == 2, op, ": the input must be [N, D], got ", x.shape());
  return or_zeros(op, "h", h, {x.shape(0), check_parameters(op, gates, x, p).R});
}

RecurrentArguments check_recurrent(const char* op, std::size_t gates, const Tensor& x,
                                   const Directions& directions, const Lengths& lengths,
                                   const Tensors& states) {
  check(x.dim() == 3 && x.shape(0) > 0, op, ": the input must be [T, N, D] with T > 0, got ",
        x.shape());
  const std::size_t T = x.shape(0), N = x.shape(1), count = directions.size();
  check(count == 1 || count == 2, op, ": has one direction or two, got ", count);
  const auto [H, R] = check_parameters(op, gates, x, directions[0]);
  const auto [other_H, other_R] = check_parameters(op, gates, x, directions.back());
  check(H == other_H && R == other_R, op, ": both directions must have the same sizes, got H = ", H,
        " and ", other_H, ", R = ", R, " and ", other_R);
  if (!lengths.empty()) check_lengths(op, lengths, x.shape());
  RecurrentArguments a{x, {}, directions, lengths, T, N, x.shape(2), H, count * H};
  if (lengths.empty()) a.lengths = Lengths(N, T);
  for (std::size_t k = 0; k < states.size(); ++k)
    a.states.push_back(
        or_zeros(op, k == 0 ? "h_0" : "c_0", states[k], {N, count * (k == 0 ? R : H)}));
  for (RecurrentParameters& p : a.directions) {
    p.bias_ih = or_zeros(op, "bias_ih", p.bias_ih, {gates * H});
    p.bias_hh = or_zeros(op, "bias_hh", p.bias_hh, {gates * H});
  }
  return a;
}

}  // namespace gradwalk
