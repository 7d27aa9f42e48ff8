// What the ops and layers that look rows up share: loops over ids, without a graph.
#pragma once

#include "core/tensor.hpp"

namespace gradwalk {

// The first id outside a table is an error that says which, where and how large the table is.
void check_ids(const char* op, const Indices& ids, std::size_t num_rows);
// Each id once, in order of first appearance, and for each entry of ids its place among them: O(n)
// through a table of slots, without sorting. The ids must be within 0..num_rows-1.
struct Places {
  Indices unique;
  Indices place;
};
Places find_places(const Indices& ids, std::size_t num_rows);
// where in ids, read in order, something else than `id` stands
Indices places_without(std::int64_t id, const Indices& ids);
// y[i] = ids[places[i]], ids read in order
Indices pick(const Indices& ids, const Indices& places);
// y[i] = 1 / how often ids[i] occurs in ids
Tensor inverse_counts(const Indices& ids, std::size_t num_rows);

}  // namespace gradwalk
