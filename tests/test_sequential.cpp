// Sequential, activations and LayerNorm: names, modes, derivatives, and what they refuse. Their
// values are compared with PyTorch's in test_pytorch.cpp.
#include "core/core.hpp"
#include "layers/layers.hpp"
#include "tests/catch.hpp"

using namespace gradwalk;

namespace {

std::string names(const Module& module) {
  std::string all;
  for (const auto& [name, p] : module.state_dict()) all += name + message(' ', p.shape(), '\n');
  return all;
}

}  // namespace

TEST_CASE("a sequential calls its modules in order, under PyTorch's names", "[sequential]") {
  Generator g(1);
  Sequential net;
  const Tensor x(normal({5, 4}, g));
  CHECK((net(x).value() == x.value()));
  net.append<Linear>(4, 3, g).append<Tanh>().append<Linear>(3, 2, g, false);
  CHECK(names(net) == "0.weight [3, 4]\n0.bias [3]\n2.weight [2, 3]\n");
  const Tensors p = net.parameters();
  CHECK((net(x).value() == linear(tanh(linear(x, p[0], p[1])), p[2], {}).value()));
}

TEST_CASE("sequentials nest, and modes reach what is in them", "[sequential]") {
  Generator g(1);
  Sequential net;
  net.append<Sequential>().append<Dropout>(0.5, g).append<Linear>(2, 1, g);
  CHECK(names(net) == "2.weight [1, 2]\n2.bias [1]\n");
  const Tensor x(full({100, 2}, 1));
  const auto greatest = [&] { return max(net(x)).item(); };
  const auto smallest = [&] { return -max(-net(x)).item(); };
  CHECK(greatest() != smallest());
  net.eval();
  CHECK(greatest() == smallest());
}

TEST_CASE("a sequential's modules live as long as it does", "[sequential]") {
  const std::size_t before = live_nodes();
  {
    Generator g(1);
    Sequential net;
    net.append<Linear>(2, 2, g);
    CHECK(live_nodes() == before + 2);
  }
  CHECK(live_nodes() == before);
}

TEST_CASE("layer_norm gives each row mean 0 and variance 1", "[norm]") {
  Generator g(1);
  const LayerNorm layer({4, 5});
  CHECK(names(layer) == "weight [4, 5]\nbias [4, 5]\n");
  const Tensor y = layer(Tensor(normal({3, 4, 5}, g)) * Real(7) + Real(3));
  const Tensor means = mean(y, {1, 2}), squares = mean(y * y, {1, 2});
  for (std::size_t n = 0; n < 3; ++n) {
    CHECK_THAT(double(means.value()(n)), WithinAbs(0, 1e-6));
    CHECK_THAT(double(squares.value()(n)), WithinAbs(1, 1e-5));
  }
  CHECK(LayerNorm({4}, {1e-5, false}).parameters().empty());
  CHECK((LayerNorm({2})(Tensor(full({1, 2}, 6))).value() == Array{{0, 0}}));  // eps: no 0 / 0
}

#ifdef GRADWALK_DOUBLE
TEST_CASE("layer_norm and sequential agree with finite differences to second order", "[norm]") {
  Generator g(2);
  const Tensor x(normal({2, 3, 4}, g), true);
  for (const Shape& shape : {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}}) {
    const LayerNorm layer(shape);
    Tensors leaves = layer.parameters();
    leaves.push_back(x);
    CHECK_NOTHROW(check_gradients([&] { return layer(x); }, leaves));
  }
  Sequential net;
  net.append<Linear>(4, 3, g).append<Sigmoid>().append<LayerNorm>(Shape{3}).append<Tanh>();
  Tensors leaves = net.parameters();
  leaves.push_back(x);
  CHECK_NOTHROW(check_gradients([&] { return net(x); }, leaves));
}
#endif

TEST_CASE("what layer_norm refuses, and its words", "[norm]") {
  CHECK(error_of([] {
          LayerNorm({3, 4})(Tensor(full({3, 5}, 0)));
        }) == "layer_norm: input [3, 5] must end in [3, 4]");
  CHECK(error_of([] {
          LayerNorm({3, 4})(Tensor(full({4}, 0)));
        }) == "layer_norm: input [4] must end in [3, 4]");
  CHECK(error_of([] {
          LayerNorm({3, 0});
        }) == "layer_norm: normalized_shape must hold positive sizes, got [3, 0]");
  CHECK(error_of([] { LayerNorm(Shape{}); }) ==
        "layer_norm: normalized_shape must hold positive sizes, got []");
}
