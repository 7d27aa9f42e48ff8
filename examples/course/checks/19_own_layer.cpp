#include EXERCISE
#include "examples/course/checks/check.hpp"
#include "layers/check_layer.hpp"
namespace course {

void check_exercise() {
  const std::size_t D = 3;
  RMSNorm layer(D);
  const StateDict state = layer.state_dict();
  if (state.size() != 1 || state[0].first != "weight")
    wrong(message("the layer has ", state.size(), " parameters, expected one named \"weight\""),
          "An optimizer and a file see only what parameter(\"weight\", ...) has named.");
  same("weight at first", state[0].second.value(), full({D}, 1));
  Generator generator(19);
  const Array w = normal({D}, generator);
  layer.load_state_dict({{"weight", w}});
  for (const Shape& shape : {Shape{4, D}, Shape{2, 2, D}, Shape{D}}) {
    const Tensor x(normal(shape, generator) * 2 + 1), weight(w);
    const std::size_t last = shape.size() - 1;
    const auto divided = [&](const Tensor& v, const Tensor& squares) {
      return v / sqrt(squares + 1e-5) * weight;
    };
    const Tensor centred = x - mean(x, {last}, true), y = divided(x, mean(x * x, {last}, true));
    same(message("y for x ", shape), layer(x).value(), y.value(),
         {{divided(x, sum(x * x, {last}, true)).value(), "The sum of x^2 instead of its mean."},
          {divided(x, mean(x * x)).value(),
           "The mean is over all of x: each vector has its own, over the last axis."},
          {(y / weight).value(), "weight is not used: y must be multiplied by it."},
          {divided(centred, mean(centred * centred, {last}, true)).value(),
           "This is LayerNorm: RMSNorm does not subtract the mean."},
          {(x / mean(x * x, {last}, true) * weight).value(), "The root is missing."},
          {(x / sqrt(mean(x * x, {last}, true)) * weight).value(), "eps is missing."}});
  }
  derivatives("RMSNorm, by x", [&](const Tensors& x) { return layer(x[0]); },
              {normal({4, D}, generator)});
  LayerTags tags;
  tags.batch_axis = 0;
  const LayerReport report =
      check_layer([](Generator&) { return std::make_unique<RMSNorm>(3); },
                  [](const RMSNorm& own, const LayerSample& s) { return own(s.x[0]); },
                  {LayerSample{{Tensor(normal({4, 3}, generator))}}}, tags);
  for (const LayerReport::Row& row : report.rows) {
    if (row.verdict == LayerReport::Verdict::kFailed)
      wrong(message("check_layer: ", row.check, ": ", row.why), row.hint);
  }
}

}  // namespace course
