// The works of the group breadth in gradwalk; breadth_libtorch.cpp is the same, line by line.
#include <map>

#include "core/autograd.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/benchmarks/breadth.hpp"

using namespace gradwalk;

namespace {

// What a work computes, and what it is differentiated by.
struct Case {
  std::function<Tensor()> y;
  Tensors leaves;
  std::shared_ptr<Optimizer> optimizer = {};  // which steps after the walk back
};

Tensor input(const Shape& shape, std::uint64_t seed) {
  Array x = empty(shape);
  Numbers(seed).fill(x.data(), x.size());
  return Tensor(std::move(x), true);
}

Indices ids(const Shape& shape, std::size_t step, std::size_t end) {
  Indices all = empty<Indices>(shape);
  for (std::size_t i = 0; i < all.size(); ++i)
    all.data()[i] = static_cast<std::int64_t>(i * step % end);
  return all;
}

// The leaves of modules with weights as the other side has them, after others.
template <class... M>
Tensors with(Tensors leaves, const M&... modules) {
  Numbers numbers(1);
  for (const Module* module : {static_cast<const Module*>(modules.get())...}) {
    for (Tensor p : module->parameters()) {
      numbers.fill(p.mutable_value().data(), p.size());
      leaves.push_back(p);
    }
  }
  return leaves;
}

template <class M, class... Args>
std::shared_ptr<M> make(const Args&... args) {
  static Generator generator;
  return std::shared_ptr<M>(new M(args..., generator));
}
template <class M, class Options>
std::shared_ptr<M> make_with(std::size_t in, std::size_t out, const Options& options) {
  static Generator generator;
  return std::shared_ptr<M>(new M(in, out, generator, options));
}

template <class M>
Case recurrent(std::size_t N, std::size_t D, std::size_t H) {
  const auto layer = make<M>(D, H);
  const Tensor x = input({kT, N, D}, 2);
  return {[=] { return (*layer)(x).last; }, with({x}, layer)};
}

const std::map<std::string, std::function<Case()>> kCases{
    {"gru", [] { return recurrent<GRU>(kN, kD, kD); }},
    {"rnn", [] { return recurrent<RNN>(kN, kD, kD); }},
    {"lstm", [] { return recurrent<LSTM>(kN, kD, kD); }},
    {"lstm-one", [] { return recurrent<LSTM>(1, kD, kD); }},
    {"lstm-tiny", [] { return recurrent<LSTM>(8, 16, 16); }},
    {"bilstm-2",
     [] {
       LstmOptions options;
       options.num_layers = 2;
       options.bidirectional = true;
       const auto layer = make_with<LSTM>(kD, kD, options);
       const Tensor x = input({kT, kN, kD}, 2);
       Sequences s{x, {}};
       for (const std::int64_t l : breadth_lengths()) s.lengths.push_back(std::size_t(l));
       return Case{[=] { return (*layer)(s).last; }, with({x}, layer)};
     }},
    {"lstm-cell",
     [] {
       const auto cell = make<LSTMCell>(kD, kD);
       const Tensor x = input({kN, kD}, 2);
       return Case{[=] {
                     LstmState s;
                     for (int t = 0; t < 32; ++t) s = (*cell)(x, s);
                     return s.h;
                   },
                   with({x}, cell)};
     }},
    {"cnn",
     [] {
       const auto a = make<Conv1d>(kD, 100, 3), b = make<Conv1d>(kD, 100, 4),
                  c = make<Conv1d>(kD, 100, 5);
       const Tensor x = input({kN, kD, kT}, 2);
       return Case{
           [=] {
             return concat(
                 {max(relu((*a)(x)), {2}), max(relu((*b)(x)), {2}), max(relu((*c)(x)), {2})}, 1);
           },
           with({x}, a, b, c)};
     }},
    {"bag",
     [] {
       const auto bag = make<EmbeddingBag>(kV, kD);
       const Tensors leaves = with({}, bag);
       return Case{[=, in = ids({kN, kT}, 7919, kV)] { return (*bag)(in); }, leaves,
                   std::make_shared<SGD>(leaves, SgdOptions{0.1})};
     }},
    {"layer-norm",
     [] {
       const auto norm = std::make_shared<LayerNorm>(Shape{kD});
       const Tensor x = input({kT * kN, kD}, 2);
       return Case{[=] { return (*norm)(x); }, with({x}, norm)};
     }},
    {"softmax-100k",
     [] {
       const Tensor w = input({100000, kD}, 2), x = input({32, kD}, 3);
       return Case{[=, targets = ids({32}, 3000, 100000)] {
                     return softmax_cross_entropy(linear(x, w, {}), targets);
                   },
                   {w, x}};
     }},
    {"attention",
     [] {
       const Tensor q = input({kN, kT, kD}, 2), k = input({kN, kT, kD}, 3),
                    v = input({kN, kT, kD}, 4);
       return Case{[=] { return matmul(softmax(matmul(q, k, false, true) * Real(0.088), 2), v); },
                   {q, k, v}};
     }},
    {"broadcast",
     [] {
       const Tensor a = input({kT, kN, kD}, 2), b = input({kD}, 3), c = input({kN, 1}, 4);
       return Case{[=] { return a * b + c; }, {a, b, c}};
     }},
    {"elementwise",
     [] {
       const Tensor a = input({kT, kN, kD}, 2);
       return Case{[=] { return tanh(exp(a * Real(0.1)) * a + a); }, {a}};
     }},
    {"reduce",
     [] {
       const Tensor a = input({kT, kN, kD}, 2);
       return Case{
           [=] {
             return concat({flatten(sum(a, {0})), mean(a, {1, 2}), flatten(max(a, {2}))}, 0);
           },
           {a}};
     }},
    {"permute",
     [] {
       const Tensor a = input({kT, kN, kD}, 2);
       return Case{[=] {
                     const Tensor p = permute(a, {1, 2, 0});
                     return concat({p, p}, 1);
                   },
                   {a}};
     }},
    {"dropout",
     [] {
       const auto layer = make<Dropout>(0.5);
       const Tensor a = input({kT, kN, kD}, 2);
       return Case{[=] { return (*layer)(a); }, {a}};
     }},
    {"lookups",
     [] {
       EmbeddingOptions options;
       options.sparse = true;
       const auto table = make_with<Embedding>(kV, kD, options);
       const Tensors leaves = with({}, table);
       return Case{[=] {
                     Tensor s(full({8, kD}, 0));
                     for (std::int64_t t = 0; t < 500; ++t) {
                       Indices in = empty<Indices>({8});
                       for (std::int64_t k = 0; k < 8; ++k)
                         in.data()[k] = (t * 31 + k * 17) % std::int64_t(kV);
                       s = s + (*table)(in);
                     }
                     return s;
                   },
                   leaves, std::make_shared<SGD>(leaves, SgdOptions{0.1})};
     }},
    {"adam",
     [] {
       Tensor w = input({1000, 1000}, 2);
       return Case{[=]() mutable {
                     w.mutable_grad() = Tensor(full({1000, 1000}, Real(0.01)));
                     return Tensor(full({}, 0));
                   },
                   {w},
                   std::make_shared<Adam>(Tensors{w}, AdamOptions{1e-3})};
     }},
    {"mlp-3",
     [] {
       const auto a = make<Linear>(784, 256), b = make<Linear>(256, 256), c = make<Linear>(256, 10);
       const Tensor x(input({64, 784}, 2).value());
       return Case{[=, targets = ids({64}, 1, 10)] {
                     return softmax_cross_entropy((*c)(relu((*b)(relu((*a)(x))))), targets);
                   },
                   with({}, a, b, c)};
     }},
};

void go(const Case& c, const Tensor& loss) {
  if (loss.requires_grad()) backward(loss);
  if (c.optimizer) c.optimizer->step();
}

}  // namespace

Step breadth(const Work& work) {
  return [c = kCases.at(work.kernel())()]() mutable {
    go(c, sum(c.y()));
    for (Tensor& leaf : c.leaves) leaf.zero_grad();
    return 0.0;
  };
}

std::vector<double> breadth_numbers(const Work& work) {
  const Case c = kCases.at(work.kernel())();
  const Tensor y = c.y();
  std::vector<double> numbers;
  const auto add = [&](const Array& a) { numbers.push_back(projection(a.data(), a.size())); };
  Array weights = empty(y.shape());
  for (std::size_t i = 0; i < weights.size(); ++i) weights.data()[i] = Real(projection_weight(i));
  go(c, sum(y * Tensor(weights)));
  if (work.name != "breadth-dropout") add(y.value());  // it draws masks of its own
  for (const Tensor& leaf : c.leaves) {
    if (work.name == "breadth-dropout") break;
    add(leaf.value());
    if (leaf.grad().index() != 0) add(dense(leaf.grad()).value());
  }
  return numbers;
}
