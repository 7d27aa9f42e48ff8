// JSON that anybody may have written.
#pragma once

#include <string>

namespace gradwalk {

// Throws FileError for what is no JSON, for more than 50 objects and arrays within each other, which
// could overflow the stack where they are copied or freed, and for an object that names a key twice,
// of which a parser would keep one. Takes time linear in the text; nlohmann's parser with a callback
// does not.
void check_json(const std::string& text);

}  // namespace gradwalk
