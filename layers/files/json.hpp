// JSON that anybody may have written.
#pragma once

#include <string>

namespace gradwalk {

// Throws FileError for what is no JSON, for more than 50 objects and arrays within each other,
// which could overflow the stack where they are copied or freed, and for an object that names a key
// twice, of which a parser would keep one. nlohmann's parser with a callback takes time quadratic
// in the number of objects; this takes n log n.
void check_json(const std::string& text);

}  // namespace gradwalk
