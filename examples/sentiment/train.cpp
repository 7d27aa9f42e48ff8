// The training loop and what it is judged by.
#include "examples/sentiment/train.hpp"

#include <algorithm>
#include <cstdio>

#include "core/core.hpp"
#include "examples/model_file.hpp"
#include "examples/text.hpp"

using gradwalk::Array;
using gradwalk::Tensor;

namespace {

std::vector<std::size_t> predicted(const Array& logits) {
  const std::size_t C = logits.shape()[1];
  std::vector<std::size_t> out(logits.shape()[0]);
  for (std::size_t n = 0; n < out.size(); ++n) {
    const auto* row = logits.data() + n * C;
    out[n] = static_cast<std::size_t>(std::max_element(row, row + C) - row);
  }
  return out;
}

std::size_t count_correct(const Array& logits, const gradwalk::Indices& labels) {
  const std::vector<std::size_t> guess = predicted(logits);
  std::size_t correct = 0;
  for (std::size_t n = 0; n < guess.size(); ++n) {
    correct += guess[n] == static_cast<std::size_t>(labels.data()[n]);
  }
  return correct;
}

std::size_t total(const Confusion& confusion) {
  std::size_t sum = 0;
  for (const auto& row : confusion) {
    for (std::size_t count : row) sum += count;
  }
  return sum;
}

std::size_t correct(const Confusion& confusion) {
  std::size_t sum = 0;
  for (std::size_t c = 0; c < confusion.size(); ++c) sum += confusion[c][c];
  return sum;
}

}  // namespace

double default_lr(const std::string& optimizer) {
  return optimizer == "sgd" ? 0.3 : optimizer == "adagrad" ? 0.02 : 1e-3;
}

std::unique_ptr<gradwalk::Optimizer> make_optimizer(const TrainOptions& options,
                                                    std::vector<Tensor> parameters) {
  const double lr = options.lr == 0 ? default_lr(options.optimizer) : options.lr;
  const auto policy = options.policy == "lazy"    ? gradwalk::SparsePolicy::kLazy
                      : options.policy == "exact" ? gradwalk::SparsePolicy::kExact
                                                  : gradwalk::SparsePolicy::kDensify;
  const auto with = [&](auto its) {
    its.lr = lr;
    its.policy = policy;
    return its;
  };
  if (options.optimizer == "sgd") {
    gradwalk::SgdOptions sgd = with(gradwalk::SgdOptions());
    sgd.momentum = 0.9;
    return std::make_unique<gradwalk::SGD>(std::move(parameters), sgd);
  }
  if (options.optimizer == "adagrad")
    return std::make_unique<gradwalk::Adagrad>(std::move(parameters),
                                               with(gradwalk::AdagradOptions()));
  if (options.optimizer == "rmsprop")
    return std::make_unique<gradwalk::RMSprop>(std::move(parameters),
                                               with(gradwalk::RmspropOptions()));
  const gradwalk::AdamOptions adam = with(gradwalk::AdamOptions());
  if (options.optimizer == "adam")
    return std::make_unique<gradwalk::Adam>(std::move(parameters), adam);
  return std::make_unique<gradwalk::AdamW>(std::move(parameters), adam);
}

Epoch train(SentimentModel& model, const std::vector<Sentence>& train_set,
            const std::vector<Sentence>& dev_set, const TrainOptions& options,
            gradwalk::Generator& generator,
            const std::function<void(const Epoch& epoch, bool best)>& after_epoch,
            Checkpoints& checkpoints) {
  const std::vector<Tensor> parameters = model.parameters();
  const std::unique_ptr<gradwalk::Optimizer> optimizer = make_optimizer(options, parameters);
  const gradwalk::CrossEntropyLoss cross_entropy;
  const std::size_t num_classes = model.state_dict().back().second.size();  // linear.bias [C]
  Progress progress(options.epochs * train_set.size(), "sentences");

  Run run{model, *optimizer, generator, 3, 3};
  checkpoints.resume(run);
  double &loss_sum = run.sums[0], &right = run.sums[1], &moved = run.sums[2];
  Epoch best{run.best_epoch, run.best[0], run.best[1], run.best[2], 0};
  progress.skip(run.epoch * train_set.size() + run.done);
  for (; run.epoch < options.epochs && !interrupted(); run.next_epoch()) {
    const double start = progress.seconds();
    const bool again = run.begun;
    const std::vector<Batch> batches = order_of_epoch(run, [&](gradwalk::Generator& g) {
      return make_batches(train_set, options.batch_size, &g);
    });
    if (!again) moved = static_cast<double>(optimizer->skipped_rows().rows);
    std::string last_gradient;
    model.train();
    while (run.position < batches.size() && !interrupted()) {
      const Batch& batch = batches[run.position];
      const Tensor logits = model(batch);
      const Tensor loss = cross_entropy(logits, batch.labels);
      optimizer->zero_grad();
      gradwalk::backward(loss);
      if (options.verbose && run.position + 1 == batches.size()) {
        last_gradient = gradwalk::message(gradwalk::describe(model.table().grad()));
      }
      gradwalk::clip_grad_norm(parameters, options.clip);
      optimizer->step();

      const std::size_t n = batch.lengths.size();
      loss_sum += double(loss.item()) * static_cast<double>(n);
      right += static_cast<double>(count_correct(logits.value(), batch.labels));
      run.done += n;
      ++run.position;
      if (checkpoints.due()) checkpoints.save(run);
      progress.advance(n);
      progress.print("epoch %zu  %zu/%zu  loss %.4f  accuracy %.4f", run.epoch + 1, run.position,
                     batches.size(), loss_sum / double(run.done), right / double(run.done));
    }
    progress.clear();
    const double dev_accuracy = accuracy(evaluate(model, dev_set, num_classes));
    if (interrupted()) break;

    const auto done = static_cast<double>(run.done);
    Epoch epoch{run.epoch + 1, loss_sum / done, right / done, dev_accuracy, 0};
    epoch.seconds = progress.seconds() - start;
    std::printf("epoch %zu  loss %.4f  train %.4f  dev %.4f  %.1f s\n", epoch.number, epoch.loss,
                epoch.train_accuracy, epoch.dev_accuracy, epoch.seconds);
    if (!last_gradient.empty())  // resumed after the last batch it is not known
      std::printf("  the embedding's gradient in the last batch: %s\n", last_gradient.c_str());
    if (options.verbose)
      std::printf("  rows moved without a gradient in this epoch: %.0f\n",
                  static_cast<double>(optimizer->skipped_rows().rows) - moved);
    std::fflush(stdout);
    const bool is_best = epoch.number == 1 || epoch.dev_accuracy > best.dev_accuracy;
    if (is_best) {
      best = epoch;
      run.keep_best({best.loss, best.train_accuracy, best.dev_accuracy});
    }
    after_epoch(epoch, is_best);
  }
  checkpoints.save(run);
  if (best.number > 0) model.load_state_dict(run.best_values);
  return best;
}

Confusion evaluate(SentimentModel& model, const std::vector<Sentence>& sentences,
                   std::size_t num_classes,
                   const std::function<void(const Batch&, const Tensor&)>& use) {
  constexpr std::size_t kBatch = 64;
  const gradwalk::NoGrad no_grad;
  model.eval();
  Confusion confusion(num_classes, std::vector<std::size_t>(num_classes, 0));
  for (const Batch& batch : make_batches(sentences, kBatch)) {
    if (interrupted()) break;
    const Tensor logits = model(batch);
    check_finite(logits.value());
    if (use) use(batch, logits);
    const std::vector<std::size_t> guess = predicted(logits.value());
    for (std::size_t n = 0; n < guess.size(); ++n) {
      ++confusion[static_cast<std::size_t>(batch.labels.data()[n])][guess[n]];
    }
  }
  return confusion;
}

double accuracy(const Confusion& confusion) { return ratio(correct(confusion), total(confusion)); }

void print_table(const Confusion& confusion) {
  std::printf("label  precision  recall  sentences\n");
  for (std::size_t c = 0; c < confusion.size(); ++c) {
    std::size_t guessed = 0, there = 0;
    for (std::size_t k = 0; k < confusion.size(); ++k) {
      guessed += confusion[k][c];
      there += confusion[c][k];
    }
    std::printf("%5zu  %9.4f  %6.4f  %9zu\n", c, ratio(confusion[c][c], guessed),
                ratio(confusion[c][c], there), there);
  }
  std::printf("\nlabel  predicted as\n     ");
  for (std::size_t c = 0; c < confusion.size(); ++c) std::printf("  %6zu", c);
  for (std::size_t c = 0; c < confusion.size(); ++c) {
    std::printf("\n%5zu", c);
    for (std::size_t count : confusion[c]) std::printf("  %6zu", count);
  }
  std::printf("\n\n");
}

void print_accuracy(const Confusion& confusion) {
  std::printf("accuracy %.4f (%zu/%zu)\n", accuracy(confusion), correct(confusion),
              total(confusion));
}
