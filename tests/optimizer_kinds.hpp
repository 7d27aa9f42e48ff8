// Every optimizer, with and without what moves rows that get no gradient.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "optim/optim.hpp"

struct OptimizerKind {
  std::string name;
  std::function<std::unique_ptr<gradwalk::Optimizer>(gradwalk::Tensors, gradwalk::SparsePolicy)>
      make;
};

template <class O, class Options>
OptimizerKind optimizer_kind(std::string name, const Options& options) {
  return {name, [options](gradwalk::Tensors parameters, gradwalk::SparsePolicy policy) {
            Options with = options;
            with.policy = policy;
            return std::make_unique<O>(std::move(parameters), with);
          }};
}

// Learning rates are 0.1; what else there is to set is set so that it counts.
inline std::vector<OptimizerKind> optimizer_kinds() {
  using namespace gradwalk;
  std::vector<OptimizerKind> all;
  for (double decay : {0., 0.1}) {
    for (double momentum : {0., 0.9}) {
      for (bool nesterov : {false, true}) {
        if (nesterov && momentum == 0) continue;
        all.push_back({message("SGD ", momentum, ' ', nesterov, ' ', decay),
                       [=](Tensors parameters, SparsePolicy policy) {
                         SgdOptions o{0.1, momentum, nesterov, decay, policy};
                         return std::make_unique<SGD>(std::move(parameters), o);
                       }});
      }
      for (bool centered : {false, true}) {
        RmspropOptions o;
        o.lr = 0.1;
        o.alpha = 0.9;
        o.momentum = momentum;
        o.centered = centered;
        o.weight_decay = decay;
        all.push_back(
            optimizer_kind<RMSprop>(message("RMSprop ", momentum, ' ', centered, ' ', decay), o));
      }
    }
    AdamOptions o;
    o.lr = 0.1;
    o.weight_decay = decay;
    o.eps = 1e-12;  // lazy Adam's stands elsewhere than dense Adam's, which is not compared here
    all.push_back(optimizer_kind<Adam>(message("Adam ", decay), o));
    all.push_back(optimizer_kind<AdamW>(message("AdamW ", decay), o));
    AdagradOptions a;
    a.lr = 0.1;
    a.lr_decay = 0.01;
    a.initial_accumulator_value = 0.1;
    a.weight_decay = decay;
    all.push_back(optimizer_kind<Adagrad>(message("Adagrad ", decay), a));
  }
  return all;
}
