"""A writer for the safetensors format (https://github.com/huggingface/safetensors#format)."""

import json
import os
import struct

import numpy as np

DTYPES = {"float32": "F32", "int32": "I32"}


def write(path, tensors, metadata):
    """Write numpy arrays with string metadata: u64 LE header length, JSON header, raw little-endian data."""
    assert all(isinstance(value, str) for value in metadata.values())
    header = {"__metadata__": metadata}
    chunks = []
    offset = 0
    for name, array in tensors.items():
        raw = np.asarray(array, order="C").astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        header[name] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(raw)],
        }
        chunks.append(raw)
        offset += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = path + ".tmp"
    with open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        file.writelines(chunks)
    os.replace(temporary, path)
