// What the decoder looked at, as a drawing.
#pragma once

#include <string>
#include <vector>

#include "core/indices.hpp"

namespace translate {

// A grid: rows are output tokens, columns input tokens; the darker a cell, the greater its weight.
// weights [output, input], in [0, 1]. Tokens are UTF-8.
std::string svg_attention(const gradwalk::Array& weights, const std::vector<std::string>& input,
                          const std::vector<std::string>& output);

}  // namespace translate
