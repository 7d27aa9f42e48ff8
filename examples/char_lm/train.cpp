#include "examples/char_lm/train.hpp"

#include <cmath>

#include "core/core.hpp"
#include "examples/text.hpp"
#include "optim/optim.hpp"

using gradwalk::Array;
using gradwalk::Tensor;

namespace char_lm {

double perplexity(CharModel& model, const std::vector<Chunk>& chunks) {
  const gradwalk::NoGrad no_grad;
  const gradwalk::CrossEntropyLoss cross_entropy;
  model.eval();
  State state;
  double loss_sum = 0, count = 0;
  for (const Chunk& chunk : chunks) {
    if (interrupted()) break;
    const auto n = static_cast<double>(chunk.targets.size());
    loss_sum += double(cross_entropy(model(chunk.ids, state), chunk.targets).item()) * n;
    count += n;
  }
  return std::exp(loss_sum / count);
}

double unigram_perplexity(const std::vector<std::int64_t>& text, std::size_t alphabet_size,
                          const std::vector<Chunk>& chunks) {
  std::vector<double> counts(alphabet_size, 1);
  for (std::int64_t id : text) ++counts[static_cast<std::size_t>(id)];
  const double total = static_cast<double>(text.size() + alphabet_size);
  double loss_sum = 0, count = 0;
  for (const Chunk& chunk : chunks) {
    for (std::int64_t id : chunk.targets) {
      loss_sum -= std::log(counts[static_cast<std::size_t>(id)] / total);
      ++count;
    }
  }
  return std::exp(loss_sum / count);
}

Epoch train(CharModel& model, const std::vector<Chunk>& text, const std::vector<Chunk>& held_out,
            const TrainOptions& options, gradwalk::Generator& generator,
            const std::function<void(const Epoch& epoch, bool best)>& after_epoch,
            Checkpoints& checkpoints) {
  constexpr double kClip = 5;
  const std::vector<Tensor> parameters = model.parameters();
  gradwalk::Adam adam(parameters, {options.lr});
  gradwalk::CosineAnnealingLR schedule(adam, options.epochs);
  const gradwalk::CrossEntropyLoss cross_entropy;
  std::size_t total = 0;
  for (const Chunk& chunk : text) total += chunk.targets.size();
  Progress progress(options.epochs * total, "characters");

  Run run{model, adam, generator, 1, 2};
  run.schedule = &schedule;
  State state;
  checkpoints.resume(run, [&](const gradwalk::StateValues& more) {
    if (more.empty()) return;  // between two epochs
    const gradwalk::Shape shape = more.begin()->second.shape();
    check_values("the run's", {{"c", shape}, {"h", shape}}, more);
    state = {gradwalk::Tensor(Array(more.at("h"))), gradwalk::Tensor(Array(more.at("c")))};
    run.more = {{"c", state.c}, {"h", state.h}};
  });
  double& loss_sum = run.sums[0];
  Epoch best{run.best_epoch, run.best[0], run.best[1], 0};
  progress.skip(run.epoch * total + run.done);
  for (; run.epoch < options.epochs && !interrupted(); run.next_epoch()) {
    const double start = progress.seconds();
    model.train();
    if (!run.begun) {
      state = {};
      run.more.clear();
      loss_sum = 0;
      run.begun = true;
    }
    while (run.position < text.size() && !interrupted()) {
      const Chunk& chunk = text[run.position];
      const Tensor loss = cross_entropy(model(chunk.ids, state), chunk.targets);
      adam.zero_grad();
      backward(loss);
      gradwalk::clip_grad_norm(parameters, kClip);
      adam.step();

      loss_sum += double(loss.item()) * double(chunk.targets.size());
      run.done += chunk.targets.size();
      ++run.position;
      run.more = {{"c", state.c}, {"h", state.h}};
      if (checkpoints.due()) checkpoints.save(run);
      progress.advance(chunk.targets.size());
      progress.print("epoch %zu  %zu/%zu  perplexity %.4g", run.epoch + 1, run.position,
                     text.size(), std::exp(loss_sum / double(run.done)));
    }
    progress.clear();
    const double perplexity_here = std::exp(loss_sum / double(run.done));
    Epoch epoch{run.epoch + 1, perplexity_here, perplexity(model, held_out), 0};
    if (interrupted()) break;
    schedule.step();
    epoch.seconds = progress.seconds() - start;
    const bool is_best = best.number == 0 || epoch.held_out < best.held_out;
    if (is_best) {
      best = epoch;
      run.keep_best({best.train, best.held_out});
    }
    after_epoch(epoch, is_best);
  }
  checkpoints.save(run);
  if (best.number > 0) model.load_state_dict(run.best_values);
  return best;
}

}  // namespace char_lm
