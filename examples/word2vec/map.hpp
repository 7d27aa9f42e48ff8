// A map of words: their vectors, seen from the side on which they differ most, as a drawing.
#pragma once

#include <string>
#include <vector>

#include "core/indices.hpp"

// The first two principal components of x [N, D], the columns of [D, 2]. Each is a unit direction c
// that maximises sum_n ((x[n] - mean) . c)^2, the second at a right angle to the first.
gradwalk::Array principal_axes(const gradwalk::Array& x);
// (x - mean) . axes   x [N, D], axes [D, 2] -> places [N, 2]
gradwalk::Array project(const gradwalk::Array& x, const gradwalk::Array& axes);

// A drawing of words at places [N, 2]; word n has the colour of group group_of[n], whose names make
// the legend (none: no legend). Words are UTF-8.
std::string svg_map(const gradwalk::Array& places, const std::vector<std::string>& words,
                    const std::vector<std::size_t>& group_of,
                    const std::vector<std::string>& group_names);
