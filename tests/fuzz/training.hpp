// A small training run in which everything has state that a checkpoint can hold.
#pragma once

#include "core/core.hpp"
#include "examples/checkpoint.hpp"
#include "examples/report.hpp"
#include "layers/layers.hpp"
#include "optim/optim.hpp"

namespace fuzz {

struct Model : gradwalk::Module {
  explicit Model(gradwalk::Generator& generator)
      : embedding(4, 2, generator, options()), linear(2, 2, generator) {
    child("embedding", embedding);
    child("linear", linear);
  }
  static gradwalk::EmbeddingOptions options() {
    gradwalk::EmbeddingOptions sparse;
    sparse.sparse = true;
    return sparse;
  }
  gradwalk::Embedding embedding;
  gradwalk::Linear linear;
};

struct Training {
  Training() {
    for (std::int64_t id : {1, 2, 1}) step(id);  // rows of the table owe steps then
  }
  void step(std::int64_t id) {
    optimizer.zero_grad();
    backward(mean(model.linear(model.embedding(gradwalk::Indices{id}))));
    optimizer.step();
    schedule.step();
    plateau.step(1);
  }

  gradwalk::Generator generator;
  Model model{generator};
  gradwalk::Adam optimizer{model.parameters(), options()};
  gradwalk::StepLR schedule{optimizer, 2};
  gradwalk::ReduceLROnPlateau plateau{optimizer};
  Report report{{}, "fuzz", {}, model.state_dict()};
  Run run{model, optimizer, generator, 2, 1};

  static gradwalk::AdamOptions options() {
    gradwalk::AdamOptions exact;
    exact.policy = gradwalk::SparsePolicy::kExact;
    return exact;
  }
};

}  // namespace fuzz
