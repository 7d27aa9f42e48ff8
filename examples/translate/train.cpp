#include "examples/translate/train.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
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

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double ratio(std::size_t part, std::size_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

// Random batches, in each the longest source first: padding at the end of a batch costs the LSTM
// nothing.
std::vector<std::vector<Pair>> shuffled_batches(const std::vector<Pair>& pairs,
                                                std::size_t batch_size,
                                                gradwalk::Generator& generator) {
  std::vector<std::size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), 0);
  generator.shuffle(order);
  std::vector<std::vector<Pair>> batches;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i % batch_size == 0) batches.emplace_back();
    batches.back().push_back(pairs[order[i]]);
  }
  for (std::vector<Pair>& batch : batches) {
    std::stable_sort(batch.begin(), batch.end(), [](const Pair& a, const Pair& b) {
      return tokens(a.source).size() > tokens(b.source).size();
    });
  }
  return batches;
}

}  // namespace

std::vector<Ids> encode_sources(const std::vector<Pair>& pairs, const Vocabulary& vocabulary) {
  std::vector<Ids> ids;
  for (const Pair& pair : pairs) ids.push_back(vocabulary.encode(tokens(pair.source)));
  return ids;
}

Vocabularies build_vocabularies(const std::vector<Pair>& pairs) {
  Vocabularies vocabularies;
  for (const Pair& pair : pairs) {
    for (const std::string& token : tokens(pair.source)) vocabularies.source.add(token);
    for (const std::string& token : characters(pair.target)) vocabularies.target.add(token);
  }
  return vocabularies;
}

Tensor loss_of(const Translator& translator, const Vocabularies& vocabularies,
               const std::vector<Pair>& pairs) {
  std::vector<Ids> inputs, outputs;  // of the decoder: <end> 2 0 0 6 and 2 0 0 6 <end>
  for (const Pair& pair : pairs) {
    outputs.push_back(vocabularies.target.encode(characters(pair.target)));
    inputs.push_back(outputs.back());
    std::rotate(inputs.back().begin(), inputs.back().end() - 1, inputs.back().end());
  }
  const auto [memory, state] =
      translator.encode(make_batch(encode_sources(pairs, vocabularies.source)));
  const Tensor logits = translator.decode(make_batch(inputs).ids, memory, state).logits;

  const std::size_t N = logits.shape(0), U = logits.shape(1), V = logits.shape(2);
  Indices targets = gradwalk::full<Indices>({N * U}, Vocabulary::kPadding);
  for (std::size_t n = 0; n < N; ++n) {
    std::copy(outputs[n].begin(), outputs[n].end(), targets.data() + n * U);
  }
  gradwalk::CrossEntropyOptions options;
  options.ignore_index = Vocabulary::kPadding;
  return gradwalk::CrossEntropyLoss(options)(reshape(logits, {N * U, V}), targets);
}

History train(Model& model, const std::vector<Pair>& train_set, const std::vector<Pair>& dev_set,
              const TrainOptions& options, gradwalk::Generator& generator,
              const std::function<void()>& on_best) {
  const std::vector<Tensor> parameters = model.translator->parameters();
  gradwalk::AdamOptions adam_options;
  adam_options.lr = options.lr;
  gradwalk::Adam adam(parameters, adam_options);
  gradwalk::CosineAnnealingLR schedule(adam, options.epochs);
  const bool live = isatty(STDERR_FILENO) != 0;
  const Clock::time_point start = Clock::now();
  const double all = static_cast<double>(options.epochs * train_set.size());

  History history;
  std::map<std::string, Array> best;
  for (std::size_t number = 1; number <= options.epochs && !interrupted(); ++number) {
    const Clock::time_point epoch_start = Clock::now();
    const auto batches = shuffled_batches(train_set, options.batch_size, generator);
    double loss_sum = 0;
    std::size_t done = 0;
    for (std::size_t b = 0; b < batches.size() && !interrupted(); ++b) {
      const Tensor loss = loss_of(*model.translator, model.vocabularies, batches[b]);
      adam.zero_grad();
      gradwalk::backward(loss);
      gradwalk::clip_grad_norm(parameters, options.clip);
      adam.step();

      loss_sum += double(loss.item()) * static_cast<double>(batches[b].size());
      done += batches[b].size();
      if (live) {
        const double seen = static_cast<double>((number - 1) * train_set.size() + done);
        const double rate = seen / seconds_since(start);
        std::fprintf(stderr, "\repoch %zu  %zu/%zu  loss %.4f  %.0f pairs/s  %.0f s left \033[K",
                     number, b + 1, batches.size(), loss_sum / static_cast<double>(done), rate,
                     (all - seen) / rate);
      }
    }
    if (live) std::fputs("\r\033[K", stderr);
    // A model that no epoch has judged yet is judged now; otherwise the best so far stands.
    if (done == 0 || (interrupted() && number > 1 && done < train_set.size())) break;
    schedule.step();

    const double exact =
        ratio(exact_matches(dev_set, translations(model, dev_set)), dev_set.size());
    std::printf("epoch %zu  loss %.4f  dev %.4f  %.1f s\n", number,
                loss_sum / static_cast<double>(done), exact, seconds_since(epoch_start));
    std::fflush(stdout);
    if (number == 1 || exact >= history.best_exact) {
      history.best_epoch = number;
      history.best_exact = exact;
      for (const auto& [name, tensor] : model.translator->state_dict()) best[name] = tensor.value();
      on_best();
    }
  }
  if (!best.empty()) model.translator->load_state_dict(best);
  history.interrupted = interrupted();
  return history;
}

std::vector<std::string> translations(const Model& model, const std::vector<Pair>& pairs,
                                      std::size_t beam) {
  constexpr std::size_t kBatch = 100;
  const Vocabulary& target = model.vocabularies.target;
  const std::vector<Ids> sources = encode_sources(pairs, model.vocabularies.source);
  std::vector<std::string> out;
  if (beam > 1) {
    for (const Ids& source : sources) {
      out.push_back(target.decode(beam_search(*model.translator, source, beam).front().ids));
    }
    return out;
  }
  for (auto begin = sources.begin(); begin != sources.end();) {
    const auto end = begin + std::min<std::ptrdiff_t>(kBatch, sources.end() - begin);
    for (const Ids& ids : greedy(*model.translator, {begin, end})) {
      out.push_back(target.decode(ids));
    }
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
