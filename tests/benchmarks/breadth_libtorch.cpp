// The works of the group breadth in libtorch; breadth_ours.cpp is the same, line by line.
#include <torch/torch.h>

#include <map>

#include "tests/benchmarks/breadth.hpp"

namespace nn = torch::nn;
namespace F = torch::nn::functional;
using torch::Tensor;
using Tensors = std::vector<Tensor>;

namespace {

constexpr long T = kT, N = kN, D = kD, V = kV;

struct Case {
  std::function<Tensor()> y;
  Tensors leaves;
  std::shared_ptr<torch::optim::Optimizer> optimizer = {};
};

Tensor input(const std::vector<long>& shape, std::uint64_t seed) {
  Tensor x = torch::empty(at::IntArrayRef(shape));
  Numbers(seed).fill(x.data_ptr<float>(), static_cast<std::size_t>(x.numel()));
  return x.requires_grad_();
}

Tensor ids(const std::vector<long>& shape, long step, long end) {
  long n = 1;
  for (const long s : shape) n *= s;
  return (torch::arange(n, torch::kLong) * step % end).view(at::IntArrayRef(shape));
}

template <class... M>
Tensors with(Tensors leaves, M... modules) {
  torch::NoGradGuard no_grad;
  Numbers numbers(1);
  for (const Tensors& parameters : {modules->parameters()...}) {
    for (const Tensor& p : parameters) {
      numbers.fill(p.data_ptr<float>(), static_cast<std::size_t>(p.numel()));
      leaves.push_back(p);
    }
  }
  return leaves;
}

template <class M>
Case recurrent(long rows, long in, long hidden) {
  M layer(in, hidden);
  const Tensor x = input({T, rows, in}, 2);
  return {[=]() mutable {
            if constexpr (std::is_same_v<M, nn::LSTM>)
              return std::get<0>(std::get<1>(layer(x)))[0];
            else
              return std::get<1>(layer(x))[0];
          },
          with({x}, layer)};
}

const std::map<std::string, std::function<Case()>> kCases{
    {"gru", [] { return recurrent<nn::GRU>(N, D, D); }},
    {"rnn", [] { return recurrent<nn::RNN>(N, D, D); }},
    {"lstm", [] { return recurrent<nn::LSTM>(N, D, D); }},
    {"lstm-one", [] { return recurrent<nn::LSTM>(1, D, D); }},
    {"lstm-tiny", [] { return recurrent<nn::LSTM>(8, 16, 16); }},
    {"bilstm-2",
     [] {
       nn::LSTM layer(nn::LSTMOptions(D, D).num_layers(2).bidirectional(true));
       const Tensor x = input({T, N, D}, 2);
       const Tensor lengths = torch::tensor(breadth_lengths(), torch::kLong);
       return Case{[=]() mutable {
                     const auto packed = nn::utils::rnn::pack_padded_sequence(x, lengths);
                     const Tensor h =
                         std::get<0>(std::get<1>(layer->forward_with_packed_input(packed)));
                     return torch::cat({h[2], h[3]}, 1);
                   },
                   with({x}, layer)};
     }},
    {"lstm-cell",
     [] {
       nn::LSTMCell cell(D, D);
       const Tensor x = input({N, D}, 2);
       return Case{[=]() mutable {
                     Tensor h = torch::zeros({N, D}), c = torch::zeros({N, D});
                     for (int t = 0; t < 32; ++t) std::tie(h, c) = cell(x, std::make_tuple(h, c));
                     return h;
                   },
                   with({x}, cell)};
     }},
    {"cnn",
     [] {
       nn::Conv1d a(nn::Conv1dOptions(D, 100, 3)), b(nn::Conv1dOptions(D, 100, 4)),
           c(nn::Conv1dOptions(D, 100, 5));
       const Tensor x = input({N, D, T}, 2);
       return Case{[=]() mutable {
                     return torch::cat({torch::relu(a(x)).amax(2), torch::relu(b(x)).amax(2),
                                        torch::relu(c(x)).amax(2)},
                                       1);
                   },
                   with({x}, a, b, c)};
     }},
    {"bag",
     [] {
       nn::EmbeddingBag bag(nn::EmbeddingBagOptions(V, D).mode(torch::kMean).sparse(true));
       const Tensors leaves = with({}, bag);
       return Case{[=, in = ids({N, T}, 7919, V)]() mutable { return bag(in); }, leaves,
                   std::make_shared<torch::optim::SGD>(leaves, 0.1)};
     }},
    {"layer-norm",
     [] {
       nn::LayerNorm norm(nn::LayerNormOptions({D}));
       const Tensor x = input({T * N, D}, 2);
       return Case{[=]() mutable { return norm(x); }, with({x}, norm)};
     }},
    {"softmax-100k",
     [] {
       const Tensor w = input({100000, D}, 2), x = input({32, D}, 3);
       return Case{[=, targets = ids({32}, 3000, 100000)] {
                     return F::cross_entropy(torch::linear(x, w), targets);
                   },
                   {w, x}};
     }},
    {"attention",
     [] {
       const Tensor q = input({N, T, D}, 2), k = input({N, T, D}, 3), v = input({N, T, D}, 4);
       return Case{[=] {
                     return torch::bmm(torch::softmax(torch::bmm(q, k.transpose(1, 2)) * 0.088, 2),
                                       v);
                   },
                   {q, k, v}};
     }},
    {"broadcast",
     [] {
       const Tensor a = input({T, N, D}, 2), b = input({D}, 3), c = input({N, 1}, 4);
       return Case{[=] { return a * b + c; }, {a, b, c}};
     }},
    {"elementwise",
     [] {
       const Tensor a = input({T, N, D}, 2);
       return Case{[=] { return torch::tanh(torch::exp(a * 0.1) * a + a); }, {a}};
     }},
    {"reduce",
     [] {
       const Tensor a = input({T, N, D}, 2);
       return Case{
           [=] {
             return torch::cat({a.sum(0).flatten(), a.mean({1, 2}), a.amax(2).flatten()}, 0);
           },
           {a}};
     }},
    {"permute",
     [] {
       const Tensor a = input({T, N, D}, 2);
       return Case{[=] {
                     const Tensor p = a.permute({1, 2, 0}).contiguous();
                     return torch::cat({p, p}, 1);
                   },
                   {a}};
     }},
    {"dropout",
     [] {
       const Tensor a = input({T, N, D}, 2);
       return Case{[=] { return torch::dropout(a, 0.5, true); }, {a}};
     }},
    {"lookups",
     [] {
       nn::Embedding table(nn::EmbeddingOptions(V, D).sparse(true));
       const Tensors leaves = with({}, table);
       return Case{[=]() mutable {
                     Tensor s = torch::zeros({8, D});
                     for (long t = 0; t < 500; ++t)
                       s = s + table((torch::arange(8, torch::kLong) * 17 + t * 31) % V);
                     return s;
                   },
                   leaves, std::make_shared<torch::optim::SGD>(leaves, 0.1)};
     }},
    {"adam",
     [] {
       Tensor w = input({1000, 1000}, 2);
       return Case{[=] {
                     w.mutable_grad() = torch::full({1000, 1000}, 0.01f);
                     return torch::zeros({});
                   },
                   {w},
                   std::make_shared<torch::optim::Adam>(Tensors{w}, 1e-3)};
     }},
    {"mlp-3",
     [] {
       nn::Linear a(784, 256), b(256, 256), c(256, 10);
       const Tensor x = input({64, 784}, 2).detach();
       return Case{[=, targets = ids({64}, 1, 10)]() mutable {
                     return F::cross_entropy(c(torch::relu(b(torch::relu(a(x))))), targets);
                   },
                   with({}, a, b, c)};
     }},
};

void go(const Case& c, const Tensor& loss) {
  if (loss.requires_grad()) loss.backward();
  if (c.optimizer) c.optimizer->step();
}

}  // namespace

Step breadth(const Work& work) {
  return [c = kCases.at(work.kernel())()] {
    go(c, c.y().sum());
    for (const Tensor& leaf : c.leaves) leaf.mutable_grad() = Tensor();
    return 0.0;
  };
}

std::vector<double> breadth_numbers(const Work& work) {
  const Case c = kCases.at(work.kernel())();
  const Tensor y = c.y();
  std::vector<double> numbers;
  const auto add = [&](const Tensor& a) {
    const Tensor flat = a.detach().contiguous();
    numbers.push_back(projection(flat.data_ptr<float>(), std::size_t(flat.numel())));
  };
  Tensor weights = torch::empty_like(y);
  for (long i = 0; i < y.numel(); ++i)
    weights.data_ptr<float>()[i] = float(projection_weight(std::size_t(i)));
  go(c, (y * weights).sum());
  if (work.name != "breadth-dropout") add(y);
  for (const Tensor& leaf : c.leaves) {
    if (work.name == "breadth-dropout") break;
    add(leaf);
    if (leaf.grad().defined()) add(leaf.grad().to_dense());
  }
  return numbers;
}
