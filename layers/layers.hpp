// All layers.
#pragma once

#include "layers/checkpoint.hpp"
#include "layers/dropout.hpp"
#include "layers/embedding.hpp"
#include "layers/embedding_bag.hpp"
#include "layers/gru.hpp"
#include "layers/linear.hpp"
#include "layers/losses.hpp"
#include "layers/lstm.hpp"
#include "layers/module.hpp"
#include "layers/rnn.hpp"
#include "layers/sequences.hpp"
#include "layers/word_vectors.hpp"
