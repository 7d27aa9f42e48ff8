// What takes longest to compile, and none of the library's own headers but this one: an exercise
// sees what it includes.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "core/machine/xtensor.hpp"
