// The works in gradwalk.
#include <memory>

#include "core/autograd.hpp"
#include "core/machine/threads.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"
#include "tests/benchmarks/works.hpp"

using namespace gradwalk;

namespace {

LstmOptions lstm_options(const Work& work) {
  LstmOptions options;
  options.num_layers = work.layers;
  options.bidirectional = work.bidirectional;
  options.fused = !work.composed;
  return options;
}

// Zeros, until set_weights(): a million random rows would take their time.
Embedding table(const Work& work) {
  EmbeddingOptions options;
  options.sparse = work.sparse;
  return Embedding::from_pretrained(full({work.V, work.D}, 0), false, options);
}

struct Classifier : Module {
  Classifier(const Work& work, Generator& generator)
      : embedding(table(work)),
        lstm(work.D, work.H, generator, lstm_options(work)),
        head(work.H * (work.bidirectional ? 2 : 1), 2, generator) {
    child("embedding", embedding);
    child("lstm", lstm);
    child("head", head);
  }
  Embedding embedding;
  LSTM lstm;
  Linear head;
};

struct Mlp : Module {
  Mlp(const Work& work, Generator& generator)
      : hidden(work.D, work.H, generator), head(work.H, kClasses, generator) {
    child("hidden", hidden);
    child("head", head);
  }
  Linear hidden, head;
};

void set_weights(const Module& module) {
  Numbers numbers(1);
  for (Tensor p : module.parameters()) numbers.fill(p.mutable_value().data(), p.size());
}

Indices indices(const std::vector<std::int64_t>& values, const Shape& shape) {
  Indices result = empty<Indices>(shape);
  std::copy(values.begin(), values.end(), result.data());
  return result;
}

struct Input {
  Indices ids, targets;
  Lengths lengths;
};

std::vector<Input> inputs(const Work& work) {
  std::vector<Input> all;
  for (const Batch& batch : make_batches(work))
    all.push_back({indices(batch.ids, {batch.T, work.N}), indices(batch.targets, {work.N}),
                   Lengths(batch.lengths.begin(), batch.lengths.end())});
  return all;
}

// One step; loss_of() runs the model.
template <class Optimizer, class Loss>
double train(Optimizer& optimizer, const Loss& loss_of) {
  optimizer.zero_grad();
  const Tensor loss = loss_of();
  backward(loss);
  optimizer.step();
  return loss.item();
}

}  // namespace

void use_threads(int threads) { set_num_threads(static_cast<std::size_t>(threads)); }

Step classifier(const Work& work) {
  auto generator = std::make_shared<Generator>();
  auto model = std::make_shared<Classifier>(work, *generator);
  set_weights(*model);
  auto adam = std::make_shared<Adam>(model->parameters(), AdamOptions{work.rate});
  return [=, all = inputs(work), k = std::size_t{0}]() mutable {
    const Input& in = all[k++ % all.size()];
    return train(*adam, [&] {
      const Tensor x = model->embedding(in.ids);
      const Tensor last =
          work.ragged ? model->lstm(Sequences{x, in.lengths}).last : model->lstm(x).last;
      return softmax_cross_entropy(model->head(last), in.targets);
    });
  };
}

Step lookup(const Work& work) {
  const std::shared_ptr<Embedding> embedding(new Embedding(table(work)));
  set_weights(*embedding);
  auto sgd = std::make_shared<SGD>(embedding->parameters(), SgdOptions{work.rate});
  const Tensor zeros(full({work.T, work.N, work.D}, 0));
  return [=, all = inputs(work), k = std::size_t{0}]() mutable {
    const Input& in = all[k++ % all.size()];
    return train(*sgd, [&] { return mse_loss((*embedding)(in.ids), zeros); });
  };
}

Step chain() {
  return
      [a = Tensor(full({1}, Real(0.01)), true), b = Tensor(full({1}, Real(0.99)), true)]() mutable {
        a.zero_grad();
        b.zero_grad();
        Tensor x(full({1}, Real(0.5)));
        for (int i = 0; i < kOps; ++i) x = i % 3 == 0 ? x + a : i % 3 == 1 ? x * b : tanh(x);
        backward(x);
        return double(x.item());
      };
}

Step mlp(const Work& work) {
  Generator generator;
  auto model = std::make_shared<Mlp>(work, generator);
  set_weights(*model);
  auto sgd = std::make_shared<SGD>(model->parameters(), SgdOptions{work.rate});
  Array x = empty({work.N, work.D});
  Numbers(2).fill(x.data(), x.size());
  return [=, input = Tensor(x), targets = indices(mlp_targets(work), {work.N})] {
    return train(*sgd, [&] {
      return softmax_cross_entropy(model->head(relu(model->hidden(input))), targets);
    });
  };
}
