"""Writing and reading the safetensors format: a length, a JSON header, the raw values.

Tensors are asked for one at a time and written at once, so that a model of 600 MB never lies in memory whole.
"""
import json
import math
import struct

import numpy as np

DTYPES = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


def write(path, shapes, dtype, make):
    """`shapes` maps names to shapes; make(name, shape) returns the tensor."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = math.prod(shape) * DTYPES[dtype].itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)     # the values start aligned
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name, shape in shapes.items():
            tensor = make(name, shape)
            assert tensor.shape == tuple(shape), name
            file.write(np.ascontiguousarray(tensor, DTYPES[dtype]).data)


def read(path):
    """Name to float32 array."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        values = file.read()
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            flat = np.frombuffer(values[start:end], DTYPES[entry["dtype"]])
            found[name] = flat.reshape(entry["shape"]).astype(np.float32)
    return found
