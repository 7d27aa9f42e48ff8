// All of core/ but its kernels.
#pragma once

#include "core/autograd.hpp"
#include "core/error.hpp"
#include "core/gradcheck.hpp"
#include "core/gradient.hpp"
#include "core/indices.hpp"
#include "core/machine/memory.hpp"
#include "core/machine/threads.hpp"
#include "core/multi_output.hpp"
#include "core/observer.hpp"
#include "core/ops.hpp"
#include "core/print.hpp"
#include "core/random.hpp"
#include "core/tensor.hpp"
#include "core/text.hpp"
