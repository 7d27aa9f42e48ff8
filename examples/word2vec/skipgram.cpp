#include "examples/word2vec/skipgram.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "core/core.hpp"
#include "core/error.hpp"
#include "examples/text.hpp"
#include "optim/adam.hpp"

using gradwalk::Array;
using gradwalk::Generator;
using gradwalk::Indices;
using gradwalk::Real;
using gradwalk::Tensor;

namespace {

// A batch while it grows: centres [N], and candidates [N, 1 + K]: the word that was seen near the
// centre, then the noise.
struct Pairs {
  std::vector<std::int64_t> centres, candidates;
};

// Where an epoch stands: within a sentence, with a batch that is not full yet.
struct Place {
  std::vector<std::int64_t> sentence{};  // as this epoch sees it
  std::size_t centre = 0;                // the next one
  Pairs pairs{};

  bool at_end() const { return centre == sentence.size(); }

  gradwalk::StateDict state_dict(const std::vector<std::size_t>& order) const {
    const auto bits = [](const std::vector<std::int64_t>& ids) {
      return gradwalk::bits_of_counts({ids.begin(), ids.end()});
    };
    return {{"candidates", bits(pairs.candidates)},
            {"centre", gradwalk::bits_of_counts({centre})},
            {"centres", bits(pairs.centres)},
            {"order", gradwalk::bits_of_counts({order.begin(), order.end()})},
            {"sentence", bits(sentence)}};
  }
  // Throws std::invalid_argument if these are not the numbers of a run on this corpus.
  void load(const gradwalk::StateValues& state, const Corpus& corpus, std::size_t candidates,
            std::vector<std::size_t>& order) {
    const auto numbers = [&](const char* name, std::size_t end) {
      gradwalk::check(state.count(name) > 0, "has no '", name, "'");
      const auto counts = gradwalk::counts_of(name, state.at(name));
      gradwalk::check(
          std::all_of(counts.begin(), counts.end(), [&](std::uint64_t x) { return x < end; }), name,
          ": must be below ", end);
      return counts;
    };
    const auto ids = [&](const char* name) {
      const auto counts = numbers(name, corpus.words.size());
      return std::vector<std::int64_t>(counts.begin(), counts.end());
    };
    pairs = {ids("centres"), ids("candidates")};
    sentence = ids("sentence");
    const auto in_sentence = numbers("centre", sentence.size() + 1),
               places = numbers("order", order.size());
    check_values("the run's",
                 {{"candidates", {pairs.centres.size() * candidates, 4}},
                  {"centre", {1, 4}},
                  {"centres", {pairs.centres.size(), 4}},
                  {"order", {order.size(), 4}},
                  {"sentence", {sentence.size(), 4}}},
                 state);
    centre = in_sentence[0];
    order.assign(places.begin(), places.end());
  }
};

// ids [n], as rows of `columns`
Indices indices(const std::vector<std::int64_t>& ids, std::size_t columns) {
  Indices out = gradwalk::empty<Indices>({ids.size() / columns, columns});
  std::copy(ids.begin(), ids.end(), out.data());
  return out;
}

// The sentence as this epoch sees it: a word of frequency f stays with probability sqrt(t / f), so
// that `the` does not fill every window.
std::vector<std::int64_t> subsampled(const std::vector<std::int64_t>& sentence,
                                     const Corpus& corpus, double t, Generator& generator) {
  std::vector<std::int64_t> kept;
  for (std::int64_t id : sentence) {
    const double f = static_cast<double>(corpus.counts[static_cast<std::size_t>(id)]) /
                     static_cast<double>(corpus.tokens);
    if (t == 0 || f <= t || generator.uniform() < std::sqrt(t / f)) kept.push_back(id);
  }
  return kept;
}

// Appends the pairs whose centre is sentence[c].
void add_pairs(const std::vector<std::int64_t>& sentence, std::size_t c,
               const TrainOptions& options, const NoiseSampler& noise, Generator& generator,
               Pairs& pairs) {
  const std::size_t reach = 1 + generator.below(options.window);  // so near words count more
  const std::size_t end = std::min(c + reach + 1, sentence.size());
  for (std::size_t near = c - std::min(c, reach); near < end; ++near) {
    if (near == c) continue;
    pairs.centres.push_back(sentence[c]);
    pairs.candidates.push_back(sentence[near]);
    for (std::size_t k = 0; k < options.negative; ++k) {
      std::int64_t word = noise.draw(generator);
      while (word == sentence[near]) word = noise.draw(generator);
      pairs.candidates.push_back(word);
    }
  }
}

// The mean over the pairs of -log s(u.v) - sum_k log s(-u.v_k): a binary cross-entropy whose target
// is 1 for the word that was seen and 0 for noise.
Tensor loss_of(const SkipGram& model, const Pairs& pairs, std::size_t negative) {
  const std::size_t N = pairs.centres.size(), C = 1 + negative;
  Array targets = gradwalk::full({N, C}, 0);
  for (std::size_t n = 0; n < N; ++n) targets.data()[n * C] = 1;
  const Tensor scores = model(indices(pairs.centres, 1), indices(pairs.candidates, C));
  return bce_with_logits(scores, targets) * static_cast<Real>(C);  // from a mean over all scores
}

}  // namespace

SkipGram::SkipGram(std::size_t num_words, std::size_t dim, Generator& generator)
    : u_(num_words, dim, generator), v_(num_words, dim, generator) {
  child("u", u_);
  child("v", v_);
  // As in the paper's program: small vectors, and v = 0, so that all scores begin at 0.
  const auto bound = static_cast<Real>(0.5 / static_cast<double>(dim));
  load_state_dict({{"u.weight", gradwalk::uniform({num_words, dim}, -bound, bound, generator)},
                   {"v.weight", gradwalk::full({num_words, dim}, 0)}});
}

Tensor SkipGram::operator()(const Indices& centres, const Indices& candidates) const {
  const Tensor scores =
      matmul(u_(centres), v_(candidates), false, true);  // [N, 1, D] . [N, C, D]^T
  return reshape(scores, candidates.shape());
}

NoiseSampler::NoiseSampler(const std::vector<std::size_t>& counts) {
  double sum = 0;
  for (std::size_t count : counts) {
    sums_.push_back(sum += std::pow(static_cast<double>(count), 0.75));
  }
}

std::int64_t NoiseSampler::draw(Generator& generator) const {
  const double x = generator.uniform() * sums_.back();
  return std::upper_bound(sums_.begin(), sums_.end() - 1, x) - sums_.begin();
}

bool train(SkipGram& model, const Corpus& corpus, const TrainOptions& options, Generator& generator,
           const std::function<void(const Epoch& epoch)>& after_epoch, Checkpoints& checkpoints) {
  gradwalk::AdamOptions adam_options;
  adam_options.policy = gradwalk::SparsePolicy::kLazy;  // only the words of a batch move
  gradwalk::Adam adam(model.parameters(), adam_options);
  const NoiseSampler noise(corpus.counts);
  Progress progress(options.epochs * corpus.tokens, "words");
  std::vector<std::size_t> order(corpus.sentences.size());
  std::iota(order.begin(), order.end(), 0);

  Run run{model, adam, generator, 2, 0};
  Place place;
  checkpoints.resume(run, [&](const gradwalk::StateValues& more) {
    place.load(more, corpus, 1 + options.negative, order);
  });
  double &loss_sum = run.sums[0], &num_pairs = run.sums[1];
  const auto save = [&] {
    run.more = place.state_dict(order);
    checkpoints.save(run);
  };
  Pairs& pairs = place.pairs;
  progress.skip(run.epoch * corpus.tokens + run.done);
  for (; run.epoch < options.epochs && !interrupted(); run.next_epoch()) {
    const double start = progress.seconds();
    if (!run.begun) {
      generator.shuffle(order);
      loss_sum = num_pairs = 0;
      run.begun = true;
    }
    const auto step = [&] {
      const Tensor loss = loss_of(model, pairs, options.negative);
      adam.set_lr(options.lr * std::max(1 - progress.fraction(), 1e-4));
      adam.zero_grad();
      backward(loss);
      adam.step();
      loss_sum += double(loss.item()) * static_cast<double>(pairs.centres.size());
      num_pairs += static_cast<double>(pairs.centres.size());
      pairs = {};
      progress.print("epoch %zu  %3.0f %%  loss %.4f", run.epoch + 1, 100 * progress.fraction(),
                     loss_sum / num_pairs);
    };

    while (!interrupted()) {
      while (place.at_end() && run.position < order.size()) {
        const std::vector<std::int64_t>& sentence = corpus.sentences[order[run.position++]];
        progress.advance(sentence.size());
        run.done += sentence.size();
        place.sentence = subsampled(sentence, corpus, options.subsample, generator);
        place.centre = 0;
      }
      if (place.at_end()) break;
      add_pairs(place.sentence, place.centre++, options, noise, generator, pairs);
      if (pairs.centres.size() < options.batch_size) continue;
      step();
      if (checkpoints.due()) save();
    }
    if (!pairs.centres.empty() && !interrupted()) step();
    progress.clear();
    if (num_pairs == 0) {
      std::printf("epoch %zu  no pairs: so few words are left by subsampling\n", run.epoch + 1);
    } else {
      std::printf("epoch %zu  loss %.4f  %.0f words/s\n", run.epoch + 1, loss_sum / num_pairs,
                  progress.rate());
    }
    std::fflush(stdout);
    if (interrupted()) break;
    after_epoch({run.epoch + 1, loss_sum / num_pairs, progress.seconds() - start});
  }
  save();
  return !interrupted();
}
