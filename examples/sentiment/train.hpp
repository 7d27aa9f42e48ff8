// The training loop and what it is judged by.
#pragma once

#include <functional>
#include <vector>

#include "examples/sentiment/model.hpp"

struct TrainOptions {
  std::size_t epochs = 8;
  std::size_t batch_size = 32;
  double lr = 1e-3;
  double clip = 5;
};

struct Epoch {
  std::size_t number = 0;
  double loss = 0, train_accuracy = 0, dev_accuracy = 0, seconds = 0;
};

struct History {
  std::vector<Epoch> epochs;
  Epoch best;
  bool interrupted = false;
};

// From here on the first Ctrl-C asks train() to end after its batch; the second ends the program.
void catch_interrupt();

// Adam on the cross-entropy, dev's accuracy after each epoch. The model is left with the values of
// the best epoch; on_best is called whenever there is a new one.
History train(SentimentModel& model, const std::vector<Sentence>& train_set,
              const std::vector<Sentence>& dev_set, const TrainOptions& options,
              gradwalk::Generator& generator, const std::function<void()>& on_best);

// How often label i was taken for j: [C][C].
using Confusion = std::vector<std::vector<std::size_t>>;
Confusion evaluate(SentimentModel& model, const std::vector<Sentence>& sentences,
                   std::size_t num_classes);
double accuracy(const Confusion& confusion);
// Precision and recall of each class, and the table itself.
void print_table(const Confusion& confusion);
// accuracy 0.7612 (813/1068)
void print_accuracy(const Confusion& confusion);
