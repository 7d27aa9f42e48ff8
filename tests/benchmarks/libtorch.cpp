// The works in libtorch, at its best: gradients are dropped instead of zeroed, sequences packed.
#include <torch/torch.h>

#include <memory>

#include "tests/benchmarks/works.hpp"

using torch::Tensor;

namespace {

struct ClassifierImpl : torch::nn::Module {
  explicit ClassifierImpl(const Work& work)
      : embedding(torch::nn::EmbeddingOptions(work.V, work.D).sparse(work.sparse)),
        lstm(torch::nn::LSTMOptions(work.D, work.H)
                 .num_layers(work.layers)
                 .bidirectional(work.bidirectional)),
        head(work.H * (work.bidirectional ? 2 : 1), 2) {
    register_module("embedding", embedding);
    register_module("lstm", lstm);
    register_module("head", head);
  }
  torch::nn::Embedding embedding;
  torch::nn::LSTM lstm;
  torch::nn::Linear head;
};

void set_weights(const torch::nn::Module& module) {
  torch::NoGradGuard no_grad;
  Numbers numbers(1);
  for (Tensor& p : module.parameters())
    numbers.fill(p.data_ptr<float>(), static_cast<std::size_t>(p.numel()));
}

Tensor indices(const std::vector<std::int64_t>& values) {
  return torch::tensor(values, torch::kInt64);
}

struct Input {
  Tensor ids, targets, lengths;
};

std::vector<Input> inputs(const Work& work) {
  std::vector<Input> all;
  for (const Batch& batch : make_batches(work))
    all.push_back({indices(batch.ids).view({std::int64_t(batch.T), std::int64_t(work.N)}),
                   indices(batch.targets), indices(batch.lengths)});
  return all;
}

// torch.optim.SparseAdam, which the C++ interface lacks.
class RowAdam {
 public:
  RowAdam(Tensor table, double rate)
      : table_(table), rate_(rate), m_(torch::zeros_like(table)), v_(torch::zeros_like(table)) {}
  void step() {
    torch::NoGradGuard no_grad;
    const Tensor grad = table_.grad().coalesce(), rows = grad.indices()[0], g = grad.values();
    ++steps_;
    Tensor m = m_.index_select(0, rows).mul_(kBeta1).add_(g, 1 - kBeta1);
    Tensor v = v_.index_select(0, rows).mul_(kBeta2).addcmul_(g, g, 1 - kBeta2);
    m_.index_copy_(0, rows, m);
    v_.index_copy_(0, rows, v);
    const double rate =
        rate_ * std::sqrt(1 - std::pow(kBeta2, steps_)) / (1 - std::pow(kBeta1, steps_));
    table_.index_add_(0, rows, m.div_(v.sqrt_().add_(1e-8)).mul_(-rate));
  }

 private:
  static constexpr double kBeta1 = 0.9, kBeta2 = 0.999;
  Tensor table_;
  double rate_;
  Tensor m_, v_;
  int steps_ = 0;
};

void drop_grads(const std::vector<Tensor>& parameters) {
  for (const Tensor& p : parameters) p.mutable_grad() = Tensor();
}

}  // namespace

void use_threads(int threads) { torch::set_num_threads(threads); }

Step classifier(const Work& work) {
  auto model = std::make_shared<ClassifierImpl>(work);
  set_weights(*model);
  const std::vector<Tensor> all_parameters = model->parameters();
  std::vector<Tensor> dense = all_parameters;
  std::shared_ptr<RowAdam> row_adam;
  if (work.sparse) {
    row_adam = std::make_shared<RowAdam>(model->embedding->weight, work.rate);
    dense.erase(dense.begin());
  }
  auto adam = std::make_shared<torch::optim::Adam>(dense, torch::optim::AdamOptions(work.rate));
  return [=, all = inputs(work), k = std::size_t{0}]() mutable {
    const Input& in = all[k++ % all.size()];
    drop_grads(all_parameters);
    const Tensor x = model->embedding(in.ids);
    Tensor h;  // [layers * directions, N, H]
    if (work.ragged) {
      h = std::get<0>(std::get<1>(model->lstm->forward_with_packed_input(
          torch::nn::utils::rnn::pack_padded_sequence(x, in.lengths))));
    } else {
      h = std::get<0>(std::get<1>(model->lstm(x)));
    }
    const Tensor last = work.bidirectional ? torch::cat({h[-2], h[-1]}, 1) : h[-1];
    const Tensor loss = torch::nn::functional::cross_entropy(model->head(last), in.targets);
    loss.backward();
    adam->step();
    if (row_adam) row_adam->step();
    return loss.item<double>();
  };
}

Step lookup(const Work& work) {
  torch::nn::Embedding embedding(torch::nn::EmbeddingOptions(work.V, work.D).sparse(work.sparse));
  set_weights(*embedding);
  auto sgd = std::make_shared<torch::optim::SGD>(embedding->parameters(),
                                                 torch::optim::SGDOptions(work.rate));
  const Tensor zeros =
      torch::zeros({std::int64_t(work.T), std::int64_t(work.N), std::int64_t(work.D)});
  return [=, all = inputs(work), k = std::size_t{0}]() mutable {
    const Input& in = all[k++ % all.size()];
    drop_grads(embedding->parameters());
    const Tensor x = embedding(in.ids);
    const Tensor loss = work.mse ? torch::mse_loss(x, zeros) : x.square().mean();
    loss.backward();
    sgd->step();
    return loss.item<double>();
  };
}

Step chain() {
  const Tensor a = torch::full({1}, 0.01f, torch::requires_grad()),
               b = torch::full({1}, 0.99f, torch::requires_grad());
  return [=] {
    drop_grads({a, b});
    Tensor x = torch::full({1}, 0.5f);
    for (int i = 0; i < kOps; ++i) x = i % 3 == 0 ? x + a : i % 3 == 1 ? x * b : torch::tanh(x);
    x.backward();
    return x.item<double>();
  };
}

Step mlp(const Work& work) {
  torch::nn::Sequential model(torch::nn::Linear(work.D, work.H), torch::nn::ReLU(),
                              torch::nn::Linear(work.H, kClasses));
  set_weights(*model);
  auto sgd =
      std::make_shared<torch::optim::SGD>(model->parameters(), torch::optim::SGDOptions(work.rate));
  const Tensor x = torch::empty({std::int64_t(work.N), std::int64_t(work.D)});
  Numbers(2).fill(x.data_ptr<float>(), work.N * work.D);
  return [=, targets = indices(mlp_targets(work))]() mutable {
    drop_grads(model->parameters());
    const Tensor loss = torch::nn::functional::cross_entropy(model->forward(x), targets);
    loss.backward();
    sgd->step();
    return loss.item<double>();
  };
}
