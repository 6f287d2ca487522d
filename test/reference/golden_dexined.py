"""DexiNed in PyTorch, written out from its paper and xavysp/DexiNed's state-dict keys: extractors/dexined.safetensors.

Weights and images are drawn as those of golden_extractors.py: the file holds the seven maps of one image and gradients.
"""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import safetensors_file
from golden_extractors import draw, limits


class Double(nn.Module):
    def __init__(self, inputs, middle, outputs, stride, active):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, middle, 3, stride, 1), nn.BatchNorm2d(middle)
        self.conv2, self.bn2 = nn.Conv2d(middle, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        self.active = active

    def forward(self, x):
        x = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(x) if self.active else x


class Single(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.bn(self.conv(x))


class Dense(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, padding=2), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3), nn.BatchNorm2d(outputs)

    def forward(self, x, skip):
        return 0.5 * (self.norm2(self.conv2(F.relu(self.norm1(self.conv1(F.relu(x)))))) + skip)


class Block(nn.Module):
    def __init__(self, depth, inputs, outputs):
        super().__init__()
        for i in range(depth):
            self.add_module(f"denselayer{i + 1}", Dense(outputs if i else inputs, outputs))

    def forward(self, x, skip):
        for layer in self.children():
            x = layer(x, skip)
        return x


def up(inputs, doublings):
    layers = []
    for i in range(doublings):
        outputs = 1 if i == doublings - 1 else 16
        padding = {1: 0, 2: 1, 3: 3, 4: 7}[doublings]
        layers += [nn.Conv2d(inputs, outputs, 1), nn.ReLU()]
        layers += [nn.ConvTranspose2d(outputs, outputs, 2**doublings, 2, padding)]
        inputs = outputs
    block = nn.Module()
    block.features = nn.Sequential(*layers)
    return block


class DexiNed(nn.Module):
    def __init__(self):
        super().__init__()
        self.block_1, self.block_2 = Double(3, 32, 64, 2, True), Double(64, 128, 128, 1, False)
        for name, depth, inputs, outputs in ((3, 2, 128, 256), (4, 3, 256, 512), (5, 3, 512, 512), (6, 3, 512, 256)):
            setattr(self, f"dblock_{name}", Block(depth, inputs, outputs))
        for name, inputs, outputs, stride in ((1, 64, 128, 2), (2, 128, 256, 2), (3, 256, 512, 2), (4, 512, 512, 1), (5, 512, 256, 1)):
            setattr(self, f"side_{name}", Single(inputs, outputs, stride))
        for name, inputs, outputs, stride in ((2, 128, 256, 2), (3, 128, 256, 1), (4, 256, 512, 1), (5, 512, 512, 1), (6, 512, 256, 1)):
            setattr(self, f"pre_dense_{name}", Single(inputs, outputs, stride))
        for name, (inputs, doublings) in enumerate(((64, 1), (128, 1), (256, 2), (512, 3), (512, 4), (256, 4)), 1):
            setattr(self, f"up_block_{name}", up(inputs, doublings))
        self.block_cat = Single(6, 1)

    def forward(self, x):
        pool = nn.MaxPool2d(3, 2, 1)
        b1 = self.block_1(x)
        b2 = self.block_2(b1)
        d2 = pool(b2)
        a2 = d2 + self.side_1(b1)
        b3 = self.dblock_3(a2, self.pre_dense_3(d2))
        d3 = pool(b3)
        a3 = d3 + self.side_2(a2)
        b4 = self.dblock_4(a3, self.pre_dense_4(d3 + self.pre_dense_2(d2)))
        d4 = pool(b4)
        a4 = d4 + self.side_3(a3)
        b5 = self.dblock_5(a4, self.pre_dense_5(d4))
        b6 = self.dblock_6(b5 + self.side_4(a4), self.pre_dense_6(b5))
        maps = [getattr(self, f"up_block_{i}").features(b) for i, b in enumerate((b1, b2, b3, b4, b5, b6), 1)]
        return [*maps, self.block_cat.conv(torch.cat(maps, 1))]


def write(folder):
    module = DexiNed().eval()
    state = module.state_dict()
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(torch.tensor(draw(name, value.shape, *limits(name, value.shape))))
    module = module.double()
    x = torch.tensor(draw("images", (1, 3, 32, 48), -2, 2).astype(np.float64))
    maps = module(x)
    weights = [torch.tensor(draw(f"gradOutput{i}", map.shape, -1, 1).astype(np.float64)) for i, map in enumerate(maps)]
    parameters = dict(module.named_parameters())
    found = dict(zip(parameters, torch.autograd.grad(maps, parameters.values(), weights, allow_unused=True)))
    tensors = {f"map.{i}": map for i, map in enumerate(maps)}
    tensors |= {f"grad.{name}": found[name] for name in ("block_1.conv1.weight", "block_cat.conv.weight", "up_block_6.features.11.weight")}
    metadata = {
        "images": list(x.shape),
        "published": {name: list(value.shape) for name, value in state.items()},
        "gradNorms": {name: float(grad.norm()) for name, grad in found.items() if grad is not None},
    }
    arrays = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in tensors.items()}
    safetensors_file.write(os.path.join(folder, "dexined.safetensors"), arrays, {"case": json.dumps(metadata, separators=(",", ":"))})
