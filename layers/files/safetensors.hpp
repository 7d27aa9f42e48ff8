// State dicts in files of the safetensors format, which PyTorch, Netron and other tools open: 8
// bytes little-endian header length, a JSON header (name -> dtype, shape, offsets), the raw
// numbers. Tensors are of any shape.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <map>
#include <string>

#include "core/text.hpp"
#include "layers/module.hpp"

namespace gradwalk {

using Metadata = std::map<std::string, std::string>;  // the header's "__metadata__"

// All or nothing: a temporary file that is flushed to the disk and renamed. Throws FileError, and
// std::invalid_argument for a name that is "__metadata__" or given twice.
void save_safetensors(const std::string& path, const StateDict& state,
                      const Metadata& metadata = {});

struct Checkpoint {
  StateValues tensors;  // converted to Real: F16, BF16, F32, F64, BOOL, and I8 to U64 if exact
  Metadata metadata;
};

// Any bytes give a checkpoint or a FileError that says what is wrong and where. Refused, as by the
// reference reader: a header over 100,000,000 bytes or past the file's end, not a JSON object, with
// a key twice or an unknown dtype; shapes that overflow; offsets that do not fit the shape,
// overlap, leave holes or do not end where the file ends. Unknown fields are passed over.
Checkpoint load_safetensors(const std::string& path);

}  // namespace gradwalk
