"""Reads and writes files of the safetensors format (https://github.com/huggingface/safetensors#format) with json and numpy."""
import json
import struct

import numpy as np

DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


def load(path):
    """The tensors by name, as numpy arrays, and the metadata."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def save(path, tensors, metadata):
    """Numbers of other types than float32 become float64."""
    header, parts, offset = {"__metadata__": metadata}, [], 0
    for name, tensor in tensors.items():
        tensor = np.asarray(tensor)
        dtype = "F32" if tensor.dtype == np.float32 else "F64"
        parts.append(tensor.astype(DTYPES[dtype]).tobytes())
        end = offset + len(parts[-1])
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of their size
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
