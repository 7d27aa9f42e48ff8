// The one file that includes xtensor, whose headers moved into folders in 0.26.
#pragma once

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "gradwalk: -ffast-math and -ffinite-math-only remove the checks for NaN; build without them"
#endif
#ifndef __cpp_exceptions
#error "gradwalk: errors are exceptions; build without -fno-exceptions"
#endif

#include "core/machine/memory.hpp"

#if __has_include(<xtensor/containers/xarray.hpp>)
#include <xtensor/containers/xarray.hpp>
#else
#include <xtensor/xarray.hpp>
#endif
