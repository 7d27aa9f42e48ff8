// The training loop and what it is judged by.
#pragma once

#include <functional>
#include <vector>

#include "core/indices.hpp"
#include "core/random.hpp"
#include "examples/checkpoint.hpp"
#include "examples/translate/corpus.hpp"
#include "examples/translate/model.hpp"

namespace translate {

struct TrainOptions {
  std::size_t epochs = 6;
  std::size_t batch_size = 32;
  double lr = 3e-3;  // Adam's at the start; falls to 0 along half a cosine
  double clip = 1;
};

struct Epoch {
  std::size_t number = 0;
  double loss = 0, dev = 0, seconds = 0;  // dev: the share of exact matches
};

// The tokens that occur in training.
Vocabularies build_vocabularies(const std::vector<Pair>& pairs);

// A pair's ids; the source's are tokens(), the target's single characters.
struct EncodedPair {
  Ids source, target;
};
std::vector<EncodedPair> encode(const std::vector<Pair>& pairs, const Vocabularies& vocabularies);

// The mean over the target's tokens, kEnd among them, of -log p(y_u | y_1 ... y_u-1, source).
gradwalk::Tensor loss_of(const Translator& translator, const std::vector<EncodedPair>& pairs);

// Minimises loss_of. after_epoch is told of each epoch and whether it is the best so far on dev, of
// equal ones the first; the model is left with the values of the best one, which is returned.
// Ctrl-C ends it; an epoch of number 0: before one was over. Where it is goes into the checkpoints
// now and then, and is where it begins.
Epoch train(Model& model, const std::vector<Pair>& train_set, const std::vector<Pair>& dev_set,
            const TrainOptions& options, gradwalk::Generator& generator,
            const std::function<void(const Epoch& epoch, bool best)>& after_epoch,
            Checkpoints& checkpoints);

// What the model makes of each source: greedily, or, from beam 2 on, by beam search. Ctrl-C ends it
// early.
std::vector<std::string> translations(const Model& model, const std::vector<Pair>& pairs,
                                      std::size_t beam = 1);
// How many of them are the targets.
std::size_t exact_matches(const std::vector<Pair>& pairs,
                          const std::vector<std::string>& translations);

}  // namespace translate
