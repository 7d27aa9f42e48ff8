#include "core/multi_output.hpp"

#include "core/error.hpp"
#include "core/observer.hpp"

namespace gradwalk {

Tensors record_many(const char* op, const Tensors& inputs, std::vector<Array> values,
                    RuleOfMany rule) {
  check<std::logic_error>(rule != nullptr, op, ": there is no rule");
  const Tensor whole(empty({0}));
  whole.node()->made_by(op, inputs);
  whole.node()->rule_of_many = std::move(rule);
  Tensors ys;
  for (std::size_t k = 0, n = values.size(); k < n; ++k) {
    ys.emplace_back(std::move(values[k]));
    ys[k].node()->made_by(op, {whole});
    ys[k].node()->rule = [k, n](const Tensor&, const Tensor& dy) -> Gradients {
      Tensors dys(n);
      dys[k] = dy;
      return {dys};
    };
  }
  if (Observer::first()) Observer::tell_forward(op, inputs, ys);
  if (!whole.requires_grad()) {
    whole.node()->release();
    for (const Tensor& y : ys) y.node()->release();
  }
  return ys;
}

}  // namespace gradwalk
