// All optimizers.
#pragma once

#include "optim/adam.hpp"
#include "optim/clip.hpp"
#include "optim/sgd.hpp"
