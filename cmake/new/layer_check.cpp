// MyName: numbers worked out by hand, and everything that check_layer asks of a layer.
#include <iostream>

#include "core/error.hpp"
#include "core/print.hpp"
#include "layers/check_layer.hpp"
#include "layers/my_name.hpp"

using namespace gradwalk;

void own_check() {
  // One column needs reshape(Tensor{0.5, -0.5}, {2, 1}).value(): {{0.5}, {-0.5}} is ambiguous.
  const Array x{{0.5, -1, 2}, {1.5, 0.25, -0.5}};  // [N, features]
  // y [N, features]: replace the numbers of the example, y = x * weight with weight 1; for others
  // make the layer first, and give it weights by load_state_dict({{"weight", Array{...}}}).
  const Array expected{{0.5, -1, 2}, {1.5, 0.25, -0.5}};
  const Tensor y = MyName(3)(Tensor(x));
  check(xt::allclose(y.value(), expected), "my_name: expected ", Tensor(expected), ", got ", y);

  // Over time, x [T, N, D]: derive the layer from RecurrentModule, run its step by unroll(), and
  // set batch_axis = 1, time_axis = 0; samples with lengths then check what padding does.
  LayerTags tags;
  tags.name = "my_name";                // its errors begin with it
  tags.batch_axis = 0;                  // of x and y
  tags.parameters = {{"weight", {3}}};  // with their shapes
  tags.output_shape = [](const LayerSample& s) { return s.x[0].shape(); };
  const LayerReport report =
      check_layer([](Generator&) { return std::make_unique<MyName>(3); },
                  [](const MyName& layer, const LayerSample& s) { return layer(s.x[0]); },
                  {{{Tensor(x)}}}, tags);
  std::cout << report;
  report.require();
}
