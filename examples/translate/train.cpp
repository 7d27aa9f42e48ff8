#include "examples/translate/train.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "core/core.hpp"
#include "examples/text.hpp"
#include "examples/translate/search.hpp"
#include "optim/optim.hpp"

using gradwalk::Array;
using gradwalk::Indices;
using gradwalk::Tensor;

namespace translate {
namespace {

// Random batches, in each the longest source first: padding at the end of a batch costs the LSTM
// nothing.
std::vector<std::vector<EncodedPair>> shuffled_batches(const std::vector<EncodedPair>& pairs,
                                                       std::size_t batch_size,
                                                       gradwalk::Generator& generator) {
  std::vector<std::size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), 0);
  generator.shuffle(order);
  std::vector<std::vector<EncodedPair>> batches;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i % batch_size == 0) batches.emplace_back();
    batches.back().push_back(pairs[order[i]]);
  }
  for (std::vector<EncodedPair>& batch : batches) {
    std::stable_sort(batch.begin(), batch.end(), [](const EncodedPair& a, const EncodedPair& b) {
      return a.source.size() > b.source.size();
    });
  }
  return batches;
}

}  // namespace

Vocabularies build_vocabularies(const std::vector<Pair>& pairs) {
  Vocabularies vocabularies;
  for (const Pair& pair : pairs) {
    for (const std::string& token : tokens(pair.source)) vocabularies.source.add(token);
    for (std::string_view c : characters(pair.target)) vocabularies.target.add(std::string(c));
  }
  return vocabularies;
}

std::vector<EncodedPair> encode(const std::vector<Pair>& pairs, const Vocabularies& vocabularies) {
  std::vector<EncodedPair> encoded;
  for (const Pair& pair : pairs) {
    const std::vector<std::string_view> target = characters(pair.target);
    encoded.push_back({vocabularies.source.encode(tokens(pair.source)),
                       vocabularies.target.encode({target.begin(), target.end()})});
  }
  return encoded;
}

Tensor loss_of(const Translator& translator, const std::vector<EncodedPair>& pairs) {
  std::vector<Ids> sources, inputs;  // of the decoder: <end> 2 0 0 6, to say 2 0 0 6 <end>
  for (const EncodedPair& pair : pairs) {
    sources.push_back(pair.source);
    inputs.push_back(pair.target);
    std::rotate(inputs.back().begin(), inputs.back().end() - 1, inputs.back().end());
  }
  const auto [memory, state] = translator.encode(make_batch(sources));
  const Tensor logits = translator.decode(make_batch(inputs).ids, memory, state).logits;

  const std::size_t N = logits.shape(0), U = logits.shape(1), V = logits.shape(2);
  Indices targets = gradwalk::full<Indices>({N * U}, Vocabulary::kPadding);
  for (std::size_t n = 0; n < N; ++n) {
    std::copy(pairs[n].target.begin(), pairs[n].target.end(), targets.data() + n * U);
  }
  gradwalk::CrossEntropyOptions options;
  options.ignore_index = Vocabulary::kPadding;
  return gradwalk::CrossEntropyLoss(options)(reshape(logits, {N * U, V}), targets);
}

Epoch train(Model& model, const std::vector<Pair>& train_set, const std::vector<Pair>& dev_set,
            const TrainOptions& options, gradwalk::Generator& generator,
            const std::function<void(const Epoch& epoch, bool best)>& after_epoch,
            Checkpoints& checkpoints) {
  const std::vector<EncodedPair> encoded = encode(train_set, model.vocabularies);
  const std::vector<Tensor> parameters = model.translator->parameters();
  gradwalk::Adam adam(parameters, {options.lr});
  gradwalk::CosineAnnealingLR schedule(adam, options.epochs);
  Progress progress(options.epochs * train_set.size(), "pairs");

  Run run{*model.translator, adam, generator, 1, 2};
  run.schedule = &schedule;
  checkpoints.resume(run);
  double& loss_sum = run.sums[0];
  Epoch best{run.best_epoch, run.best[0], run.best[1], 0};
  progress.skip(run.epoch * train_set.size() + run.done);
  for (; run.epoch < options.epochs && !interrupted(); run.next_epoch()) {
    const double start = progress.seconds();
    const auto batches = order_of_epoch(run, [&](gradwalk::Generator& g) {
      return shuffled_batches(encoded, options.batch_size, g);
    });
    while (run.position < batches.size() && !interrupted()) {
      const std::vector<EncodedPair>& batch = batches[run.position];
      const Tensor loss = loss_of(*model.translator, batch);
      adam.zero_grad();
      gradwalk::backward(loss);
      gradwalk::clip_grad_norm(parameters, options.clip);
      adam.step();

      loss_sum += double(loss.item()) * static_cast<double>(batch.size());
      run.done += batch.size();
      ++run.position;
      if (checkpoints.due()) checkpoints.save(run);
      progress.advance(batch.size());
      progress.print("epoch %zu  %zu/%zu  loss %.4f", run.epoch + 1, run.position, batches.size(),
                     loss_sum / double(run.done));
    }
    progress.clear();
    const std::vector<std::string> outputs = translations(model, dev_set);
    if (interrupted()) break;
    schedule.step();

    Epoch epoch{run.epoch + 1, loss_sum / double(run.done),
                ratio(exact_matches(dev_set, outputs), dev_set.size()), 0};
    epoch.seconds = progress.seconds() - start;
    std::printf("epoch %zu  loss %.4f  dev %.4f  %.1f s\n", epoch.number, epoch.loss, epoch.dev,
                epoch.seconds);
    std::fflush(stdout);
    const bool is_best = epoch.number == 1 || epoch.dev > best.dev;
    if (is_best) {
      best = epoch;
      run.keep_best({best.loss, best.dev});
    }
    after_epoch(epoch, is_best);
  }
  checkpoints.save(run);
  if (best.number > 0) model.translator->load_state_dict(run.best_values);
  return best;
}

std::vector<std::string> translations(const Model& model, const std::vector<Pair>& pairs,
                                      std::size_t beam) {
  constexpr std::size_t kBatch = 100;
  const Vocabulary& target = model.vocabularies.target;
  std::vector<Ids> sources;
  for (const Pair& pair : pairs) {
    sources.push_back(model.vocabularies.source.encode(tokens(pair.source)));
  }
  std::vector<std::string> out;
  for (auto begin = sources.begin(); begin != sources.end() && !interrupted();) {
    const auto end = begin + std::min<std::ptrdiff_t>(beam > 1 ? 1 : kBatch, sources.end() - begin);
    const std::vector<Ids> best =
        beam > 1 ? std::vector<Ids>{beam_search(*model.translator, *begin, beam).front().ids}
                 : greedy(*model.translator, {begin, end});
    for (const Ids& ids : best) out.push_back(target.decode(ids));
    begin = end;
  }
  return out;
}

std::size_t exact_matches(const std::vector<Pair>& pairs,
                          const std::vector<std::string>& translations) {
  std::size_t matches = 0;
  for (std::size_t n = 0; n < pairs.size(); ++n) matches += pairs[n].target == translations[n];
  return matches;
}

}  // namespace translate
