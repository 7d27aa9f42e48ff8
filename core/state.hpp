// What a run is made of between its steps, as names and tensors: the parameters of modules, the
// moments of optimizers, the place of schedules and generators. Files hold it (layers/files/).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.hpp"

namespace gradwalk {

// Names and tensors, in the order in which they were made. Those of a module are handles: nothing
// is copied.
using StateDict = std::vector<std::pair<std::string, Tensor>>;
using StateValues = std::map<std::string, Array>;

// Adds a part's entries under "prefix.name", and takes the values of such a part out again.
void add_part(StateDict& state, const std::string& prefix, const StateDict& part);
StateValues take_part(StateValues& values, const std::string& prefix);

// That values has these names and shapes and no others, or std::invalid_argument lists what is
// missing, unexpected or misshapen. `whose` they must be: "the module's".
using NamedShapes = std::vector<std::pair<std::string, Shape>>;
NamedShapes shapes_of(const StateDict& state);
void check_values(const char* whose, const NamedShapes& expected, const StateValues& values);

// n doubles or counts as a tensor [n, 4] of Real, which may be float and could hold neither: of
// each its 64 bits in four numbers of 16, the lowest first. NumPy reads them again with
// x.astype("<u2").view("<f8"), and "<u8".
Tensor bits_of_doubles(const std::vector<double>& numbers);
Tensor bits_of_counts(const std::vector<std::uint64_t>& counts);
// Throw std::invalid_argument for numbers that are not of 16 bits.
std::vector<double> doubles_of(const char* op, const Array& bits);
std::vector<std::uint64_t> counts_of(const char* op, const Array& bits);

}  // namespace gradwalk
