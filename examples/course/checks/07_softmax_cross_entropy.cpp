#include EXERCISE
#include "examples/course/checks/check.hpp"
namespace course {

void compare(const std::string& what, const Tensor& logits, const Indices& targets) {
  const Tensor loss = ::gradwalk::softmax_cross_entropy(logits, targets);
  const Array expected = dense(gradients(loss, {logits})[0]).value();
  const Real N = static_cast<Real>(logits.shape(0));
  const LossAndSlope got = cross_entropy(logits.value(), targets);
  const Tensor p = softmax(logits, 1).detach();
  if (!std::isfinite(got.loss))
    wrong(what + ": the loss is " + message(got.loss),
          loss.item() > 100
              ? "p of the right class has become 0, and its log is infinite: log p = logit - "
                "largest - log sum needs no p."
              : "e^1000 is infinite, and infinity / infinity is NaN: subtract the row's largest "
                "score first.");
  same(what + ": the loss", got.loss, loss.item(),
       {{number(loss.item() * N), "The sum over the examples; the mean is asked for."},
        {number(-loss.item()), "The wrong sign: a loss is -log p."}});
  same(what + ": dlogits", got.dlogits, expected,
       {{(p * (1 / N)).value(), "This is p / N: 1 is not subtracted at the target."},
        {(Tensor(expected) * N).value(), "p - q: it is not divided by N, but the loss is."},
        {(Tensor(expected) * (N / static_cast<Real>(logits.shape(1)))).value(),
         "Divided by the number of classes C, not by the number of examples N."},
        {p.value(), "This is p, the softmax itself."}});
}

void check_exercise() {
  Generator generator(7);
  compare("4 examples", Tensor(normal({4, 3}, generator), true), {2, 0, 0, 1});
  compare("large scores", Tensor({{1000, 998, 0}, {-1000, -1000, -999}}, true), {1, 2});
  compare("a p of 0", Tensor({{1000, 998, 0}, {-1000, -1000, -999}}, true), {2, 2});
}

}  // namespace course
