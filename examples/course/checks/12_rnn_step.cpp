#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void check_exercise() {
  Generator generator(12);
  for (std::size_t D : {3, 2}) {
    const std::size_t N = 4, H = 3;
    const Tensor x(normal({N, D}, generator)), h(normal({N, H}, generator)),
        w_ih(normal({H, D}, generator)), w_hh(normal({H, H}, generator)),
        bias(normal({H}, generator));
    const Tensor in = matmul(x, w_ih, false, true), back = matmul(h, w_hh, false, true);
    same(message("h' for D = ", D), rnn_step(x, h, w_ih, w_hh, bias).value(),
         tanh(in + back + bias).value(),
         {{(in + back + bias).value(), "tanh is missing."},
          {tanh(in + back).value(), "The bias is missing."},
          {tanh(in + bias).value(), "The state h is not read: the network remembers nothing."},
          {tanh(in + matmul(h, w_hh) + bias).value(), "w_hh is not transposed."},
          {sigmoid(in + back + bias).value(), "sigmoid instead of tanh."},
          {(tanh(in) + tanh(back) + bias).value(), "tanh comes last, after the sum."}});
  }
  // two steps with the same weights: they get the sum of two gradients
  derivatives("two steps",
              [](const Tensors& p) {
                return rnn_step(p[0], rnn_step(p[0], p[1], p[2], p[3], p[4]), p[2], p[3], p[4]);
              },
              {normal({2, 3}, generator), normal({2, 2}, generator), normal({2, 3}, generator),
               normal({2, 2}, generator), normal({2}, generator)});
}

}  // namespace course
