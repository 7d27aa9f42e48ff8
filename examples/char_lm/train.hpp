// The training loop and what it is judged by: perplexity, exp of the mean cross-entropy per
// character. A model of perplexity P is as unsure as one that chooses among P equal characters.
#pragma once

#include <functional>
#include <vector>

#include "examples/char_lm/model.hpp"
#include "examples/checkpoint.hpp"

namespace char_lm {

struct TrainOptions {
  std::size_t epochs = 20;
  std::size_t batch = 16;
  std::size_t length = 64;
  double lr = 1e-2;
};

struct Epoch {
  std::size_t number = 0;
  double train = 0, held_out = 0, seconds = 0;  // perplexities; train's with dropout, on the way
};

// Ctrl-C ends it early.
double perplexity(CharModel& model, const std::vector<Chunk>& chunks);
// Of the model that gives each character its share of `text`, all counts being one higher so that
// nothing is impossible: what can be had without looking at the characters before.
double unigram_perplexity(const std::vector<std::int64_t>& text, std::size_t alphabet_size,
                          const std::vector<Chunk>& chunks);

// Adam, its rate falling to 0 along a cosine. after_epoch is told of each epoch and whether it is
// the best so far on held_out; the model is left with the values of the best one, which is returned.
// Ctrl-C ends it; an epoch of number 0: before one was over. The generator is the model's. Where it
// is goes into the checkpoints now and then, and is where it begins.
Epoch train(CharModel& model, const std::vector<Chunk>& text, const std::vector<Chunk>& held_out,
            const TrainOptions& options, gradwalk::Generator& generator,
            const std::function<void(const Epoch& epoch, bool best)>& after_epoch,
            Checkpoints& checkpoints);

}  // namespace char_lm
