"""The networks with their real weights in PyTorch, at full size: extractors/real-*.safetensors.

Usage: /usr/bin/python3 golden_pretrained.py FOLDER with the *.safetensors of ../shared/data/weights
The weights are no part of the project: the files hold one embedding, gradients of the first and the last layer, and the few
biases that were moved for them (`off_kinks`).
"""

import json
import os
import struct
import sys

sys.dont_write_bytecode = True

import numpy as np
import torch

import safetensors_file
from golden_extractors import draw, off_kinks
from golden_layers.pretrained import MobileNet, ShuffleNet, SqueezeNet

STAGES = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]
NETWORKS = {
    "shufflenet": (ShuffleNet(4, 24, 136, [4, 8, 4], 3), "shufflenet_v1_g4_tcga_msi_histology", 224, ["conv1.weight", "stage4.unit3.gconv2.bn.weight"]),
    "squeezenet": (SqueezeNet("caffe", 96, [16, 16, 32, 32, 48, 48, 64, 64], 1000), "squeezenet1_0_imagenet", 227, ["features.0.weight", "features.12.expand3x3.bias"]),
    "mobilenet": (MobileNet("google", 32, STAGES, 1280, 1001), "mobilenet_v2_1.0_224_imagenet", 224, ["features.0.0.weight", "features.18.0.bias"]),
}


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    arrays = {}
    for key, entry in header.items():
        if key not in ("__metadata__", "input_mean", "input_std"):
            begin, end = entry["data_offsets"]
            arrays[key] = np.frombuffer(data[start + begin : start + end], np.float32).reshape(entry["shape"])
    return arrays


def fill(module, arrays):
    """ShuffleNet's names are the module's; those of the others follow the order of the layers."""
    own = {key: value for key, value in module.state_dict().items() if not key.endswith("num_batches_tracked")}
    names = list(own) if arrays.keys() == own.keys() else None
    pairs = zip(names, (arrays[name] for name in names)) if names else zip(own, (arrays[key] for key in in_order(arrays)))
    for name, array in pairs:
        own[name].copy_(torch.tensor(array.reshape(own[name].shape)))
    assert len(own) == len(arrays)


def in_order(arrays):
    rank = lambda key: (key.startswith("conv_final"), not key.startswith("conv1."), key.split(".")[0], key.endswith("bias"))
    return sorted(arrays, key=rank)


def main(folder):
    torch.set_num_threads(1)
    here = os.path.dirname(os.path.abspath(__file__))
    for name, (module, file, size, grads) in NETWORKS.items():
        with torch.no_grad():
            fill(module, read(os.path.join(folder, f"{file}.safetensors")))
        module = module.double().eval()
        x = torch.tensor(draw("images", (1, 3, size, size), -2, 2).astype(np.float64))
        module.forward = module.embed
        moved = off_kinks(module, x)
        output = module.embed(x)
        parameters = dict(module.named_parameters())
        weights = torch.tensor(draw("gradOutput", tuple(output.shape), -1, 1).astype(np.float64))
        found = torch.autograd.grad(output, [parameters[key] for key in grads], weights)
        tensors = {"output": output, **{f"grad.{key}": grad for key, grad in zip(grads, found)}}
        arrays = {key: value.detach().numpy().astype(np.float32) for key, value in tensors.items()}
        safetensors_file.write(os.path.join(here, "extractors", f"real-{name}.safetensors"), arrays, {"size": str(size), "moved": json.dumps(moved)})


if __name__ == "__main__":
    main(sys.argv[1])
