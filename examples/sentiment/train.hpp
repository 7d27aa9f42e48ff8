// The training loop and what it is judged by.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "examples/checkpoint.hpp"
#include "examples/sentiment/model.hpp"
#include "optim/optim.hpp"

struct TrainOptions {
  std::size_t epochs = 8;
  std::size_t batch_size = 32;
  std::string optimizer = "adam";
  std::string policy = "lazy";  // or "exact", "densify"
  double lr = 0;                // 0: the optimizer's default
  double clip = 5;
  bool verbose = false;  // describe the embedding's gradient after each epoch
};

// sgd (with momentum 0.9), adam, adamw, adagrad or rmsprop, and what lr is where none is given.
double default_lr(const std::string& optimizer);
std::unique_ptr<gradwalk::Optimizer> make_optimizer(const TrainOptions& options,
                                                    std::vector<gradwalk::Tensor> parameters);

struct Epoch {
  std::size_t number = 0;
  double loss = 0, train_accuracy = 0, dev_accuracy = 0, seconds = 0;
};

// The optimizer on the cross-entropy. after_epoch is told of each epoch and whether it is the best
// so far on dev, of equal ones the first; the model is left with the values of the best one, which
// is returned. Ctrl-C ends it; an epoch of number 0: before one was over. Where it is goes into the
// checkpoints now and then, and is where it begins.
Epoch train(SentimentModel& model, const std::vector<Sentence>& train_set,
            const std::vector<Sentence>& dev_set, const TrainOptions& options,
            gradwalk::Generator& generator,
            const std::function<void(const Epoch& epoch, bool best)>& after_epoch,
            Checkpoints& checkpoints);

// How often label i was taken for j: [C][C].
using Confusion = std::vector<std::vector<std::size_t>>;
// Shows `use` each batch and its logits. Ctrl-C ends it early. Throws Overflow.
Confusion evaluate(
    SentimentModel& model, const std::vector<Sentence>& sentences, std::size_t num_classes,
    const std::function<void(const Batch& batch, const gradwalk::Tensor& logits)>& use = {});
double accuracy(const Confusion& confusion);
// Precision and recall of each class, and the table itself.
void print_table(const Confusion& confusion);
// accuracy 0.7612 (813/1068)
void print_accuracy(const Confusion& confusion);
