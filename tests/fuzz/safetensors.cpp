#include "layers/files/safetensors.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gradwalk;
  const std::string path = fuzz::input(data, size), saved = fuzz::path_of("saved");
  Checkpoint first;
  if (!fuzz::takes([&] { first = load_safetensors(path); })) return 0;
  StateDict state;
  for (const auto& [name, values] : first.tensors) state.emplace_back(name, Tensor(Array(values)));
  save_safetensors(saved, state, first.metadata);
  const Checkpoint again = load_safetensors(saved);
  fuzz::require(again.metadata == first.metadata, "the metadata must be read back");
  fuzz::require(again.tensors.size() == first.tensors.size(), "all tensors must be read back");
  for (const auto& [name, values] : first.tensors)
    fuzz::require(fuzz::same_bits(values, again.tensors.at(name)), "numbers must be read back");
  return 0;
}
