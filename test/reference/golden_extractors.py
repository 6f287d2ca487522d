"""The extractors in PyTorch, written out from their libraries with their published state-dict keys: extractors/*.safetensors.

Weights and images come from the counter-based generator, so that the files hold results only: each tensor of the
state dict is a function of its name and shape (`draw`), here and in test/models/extractors/prove-extractor.ts.
"""

import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import philox
import safetensors_file
from golden_layers.blocks import BasicBlock, Bottleneck, DenseLayer, SwinBlock, ViTBlock
from golden_layers.pretrained import MobileNet, ShuffleNet, SqueezeNet


class ResNet(nn.Module):  # torchvision.models.resnet
    def __init__(self, block, depths, stem):
        super().__init__()
        block = {"basic": BasicBlock, "bottleneck": Bottleneck}[block]
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem)
        inputs = stem
        for i, depth in enumerate(depths):
            blocks = []
            for j in range(depth):
                blocks.append(block(inputs, stem * 2**i, 2 if i > 0 and j == 0 else 1))
                inputs = stem * 2**i * block.expansion
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))


class Transition(nn.Module):  # torchvision.models.densenet._Transition
    def __init__(self, inputs):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2, 2)


class DenseNet(nn.Module):  # torchvision.models.densenet
    def __init__(self, depths, growth, stem):
        super().__init__()
        parts = [("conv0", nn.Conv2d(3, stem, 7, 2, 3, bias=False)), ("norm0", nn.BatchNorm2d(stem)), ("relu0", nn.ReLU())]
        parts += [("pool0", nn.MaxPool2d(3, 2, 1))]
        channels = stem
        for i, depth in enumerate(depths):
            block = nn.Sequential()
            for j in range(depth):
                block.add_module(f"denselayer{j + 1}", DenseLayer(channels, growth, 4))
                channels += growth
            parts.append((f"denseblock{i + 1}", block))
            if i < len(depths) - 1:
                parts.append((f"transition{i + 1}", Transition(channels)))
                channels //= 2
        parts.append(("norm5", nn.BatchNorm2d(channels)))
        self.features = nn.Sequential()
        for name, part in parts:
            self.features.add_module(name, part)
        self.classifier = nn.Linear(channels, 5)

    def forward(self, x):
        return F.adaptive_avg_pool2d(F.relu(self.features(x)), 1).flatten(1)


class PatchEmbed(nn.Module):
    def __init__(self, proj):
        super().__init__()
        self.proj = proj


class ViT(nn.Module):  # timm.models.vision_transformer, dynamic_img_size
    def __init__(self, width, depth, heads, hidden, patch, size, layerScale):
        super().__init__()
        self.side = size // patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.side**2, width))
        self.patch_embed = PatchEmbed(nn.Conv2d(3, width, patch, patch))
        self.blocks = nn.Sequential(*(ViTBlock(width, heads, hidden, layerScale) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, 1e-6)
        self.head = nn.Linear(width, 5)

    def positions(self, size):  # timm.layers.resample_abs_pos_embed
        if size == (self.side, self.side):
            return self.pos_embed
        cls, grid = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        grid = grid.reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=size, mode="bicubic", antialias=True)
        return torch.cat([cls, grid.permute(0, 2, 3, 1).reshape(1, size[0] * size[1], -1)], 1)

    def forward(self, x):
        x = self.patch_embed.proj(x)
        size = tuple(x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.positions(size)
        return self.norm(self.blocks(x))[:, 0]


class PatchMerging(nn.Module):  # timm.models.swin_transformer, 0.5.4
    def __init__(self, width):
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x):
        b, n, c = x.shape
        x = x.view(b, math.isqrt(n), math.isqrt(n), c)
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.reduction(self.norm(x.view(b, n // 4, 4 * c)))


class Stage(nn.Module):
    def __init__(self, width, depth, heads, window, side, last):
        super().__init__()
        shift = lambda i: window // 2 if i % 2 == 1 and side > window else 0
        self.blocks = nn.ModuleList(
            SwinBlock(width, heads, 4 * width, window, shift(i), (side, side)) for i in range(depth)
        )
        if not last:
            self.downsample = PatchMerging(width)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.downsample(x) if hasattr(self, "downsample") else x


class CTransPath(nn.Module):  # Xiyue-Wang/TransPath ctran.py on timm 0.5.4
    def __init__(self, width, depths, heads, window, size):
        super().__init__()
        a, b = width // 8, width // 4
        stem = [nn.Conv2d(3, a, 3, 2, 1, bias=False), nn.BatchNorm2d(a), nn.ReLU()]
        stem += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.Conv2d(b, width, 1)]
        self.patch_embed = PatchEmbed(nn.Sequential(*stem))
        self.patch_embed.norm = nn.LayerNorm(width)
        last = len(depths) - 1
        self.layers = nn.ModuleList(
            Stage(width * 2**i, depth, heads[i], window, size // 4 // 2**i, i == last) for i, depth in enumerate(depths)
        )
        self.norm = nn.LayerNorm(width * 2**last)

    def forward(self, x):
        x = self.patch_embed.norm(self.patch_embed.proj(x).flatten(2).transpose(1, 2))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x).mean(1)


def fnv1a(name):
    value = 0x811C9DC5
    for byte in name.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def limits(name, shape):
    """Between which values a tensor of the state dict is uniform."""
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return 0.5, 1.5
    if name.endswith("gamma"):
        return 0.2, 0.8
    if name.endswith("weight"):
        bound = math.sqrt(3 / math.prod(shape[1:]))
        return -bound, bound
    return -0.3, 0.3


def draw(name, shape, low, high):
    """The values of the tensor of that name: seed 7, and a hash of the name as the number of the draw."""
    values = philox.uniform(math.prod(shape), (7, 0), fnv1a(name))
    return (low + (high - low) * values).astype(np.float32).reshape(shape)


def embedding(network):
    """The same without its classifier."""
    return type(network.__name__, (network,), {"forward": network.embed})


def stride_of(size):
    """The step at which some 2,000 of a large gradient's values are stored; it meets all places of a kernel and all channels."""
    step = size // 2000
    while math.gcd(step, size) > 1:
        step += 1
    return step


def off_kinks(module, x):
    """Moves biases so that no unit of this image is as close to the kink of its ReLU as float32 is accurate: there it would
    be chance on which side it comes out, and one of ten million moves the gradient of the first layer by more than 1e-3.
    Returns the new values, {name: {channel: value}}.
    """
    names = {bias: name for name, bias in module.named_parameters() if name.endswith("bias")}
    moved, last = {}, None

    def remember(layer, *_):
        nonlocal last
        last = layer.bias

    def move(kinks, x):
        near = 3e-5 * float(x.std())
        close = lambda values: any(bool(((values - kink).abs() < near).any()) for kink in kinks)
        for c in range(len(last) if last is not None else 0):
            before = values = float(last[c])
            for step in range(1, 1000):
                if not close(x[:, c] + (values - before)):
                    break
                values = float(np.float32(before + near * step * (-1) ** step))
            else:
                raise ValueError(f"{names[last]}: no way to keep channel {c} off the kinks")
            if values != before:
                last[c] = values
                x[:, c] += values - before
                moved.setdefault(names[last], {})[c] = values

    hooks = [
        layer.register_forward_pre_hook(remember)
        for layer in module.modules()
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d)) and layer.bias is not None
    ]
    relu, hardtanh = F.relu, F.hardtanh
    F.relu = lambda x, *_, **__: (move((0,), x), relu(x))[1]
    F.hardtanh = lambda x, low, high, *_, **__: (move((low, high), x), hardtanh(x, low, high))[1]
    with torch.no_grad():
        module(x)
    F.relu, F.hardtanh = relu, hardtanh
    for hook in hooks:
        hook.remove()
    return moved


def case(network, options, images, grads, training=False, full=False):
    module = network(**options).train(training)
    state = module.state_dict()
    published = {name: list(value.shape) for name, value in state.items()}
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(torch.tensor(draw(name, value.shape, *limits(name, value.shape))))
    module = module.double()
    x = torch.tensor(draw("images", images, -2, 2).astype(np.float64))
    moved = off_kinks(module, x) if full else {}
    output = module(x)
    weights = torch.tensor(draw("gradOutput", output.shape, -1, 1).astype(np.float64))
    parameters = {name: p for name, p in module.named_parameters() if not name.startswith(("fc.", "head.", "classifier."))}
    found = dict(zip(parameters, torch.autograd.grad(output, parameters.values(), weights)))
    tensors = {"output": output, **{f"grad.{name}": found[name] for name in grads}}
    metadata = {
        "options": options,
        "images": list(images),
        "training": training,
        "published": published,
        "gradNorms": {name: float(grad.norm()) for name, grad in found.items()},
    }
    arrays = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in tensors.items()}
    steps = {key: stride_of(array.size) for key, array in arrays.items() if array.size > 5_000}
    if full:
        metadata["moved"] = moved
        metadata["steps"] = steps
        arrays |= {key: arrays[key].reshape(-1)[::step] for key, step in steps.items()}
    return arrays, {"case": json.dumps(metadata, separators=(",", ":"))}


VIT = {"width": 128, "depth": 2, "heads": 2, "hidden": 96, "patch": 8, "size": 32}
VIT_ENDS = ["cls_token", "pos_embed", "patch_embed.proj.bias", "norm.weight"]
SWIN = {"width": 24, "depths": [2, 2], "heads": [3, 6], "window": 7, "size": 56}
RESNET18 = {"block": "basic", "depths": [2, 2, 2, 2], "stem": 64}
VIT_S16 = {"width": 384, "depth": 12, "heads": 6, "hidden": 1536, "patch": 16, "size": 224, "layerScale": None}
UNI = {"width": 1024, "depth": 24, "heads": 16, "hidden": 4096, "patch": 16, "size": 224, "layerScale": 1e-5}
RESNET34 = {"block": "basic", "depths": [3, 4, 6, 3], "stem": 64}
RESNET50 = {"block": "bottleneck", "depths": [3, 4, 6, 3], "stem": 64}
DENSENET121 = {"depths": [6, 12, 24, 16], "growth": 32, "stem": 64}
CTRANSPATH = {"width": 96, "depths": [2, 2, 6, 2], "heads": [3, 6, 12, 24], "window": 7, "size": 224}
SHUFFLENET = {"groups": 4, "stem": 24, "width": 136, "depths": [4, 8, 4], "classes": 3}
SQUEEZENET = {"weights": "caffe", "stem": 96, "squeeze": [16, 16, 32, 32, 48, 48, 64, 64], "classes": 1000}
STAGES = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]
GOOGLE = {"weights": "google", "stem": 32, "stages": STAGES, "width": 1280, "classes": 1001}
TORCHVISION = {**GOOGLE, "weights": "torchvision", "classes": 1000}

FULL = (1, 3, 224, 224)

CASES = {
    "resnet-basic": (ResNet, {"block": "basic", "depths": [2, 1, 1, 1], "stem": 8}, (2, 3, 64, 64), ["conv1.weight", "layer4.0.downsample.0.weight"], True),
    "resnet-bottleneck": (ResNet, {"block": "bottleneck", "depths": [1, 2, 1, 1], "stem": 4}, (2, 3, 64, 96), ["conv1.weight", "layer4.0.conv3.weight"]),
    "densenet": (DenseNet, {"depths": [2, 3, 1], "growth": 4, "stem": 8}, (2, 3, 64, 64), ["features.conv0.weight", "features.norm5.weight"], True),
    "vit": (ViT, {**VIT, "layerScale": None}, (2, 3, 32, 32), VIT_ENDS),
    "vit-resampled": (ViT, {**VIT, "layerScale": 1e-5}, (2, 3, 24, 56), VIT_ENDS),
    "ctranspath": (CTransPath, SWIN, (2, 3, 56, 56), ["patch_embed.proj.0.weight", "layers.0.downsample.reduction.weight", "norm.weight"], True),
    "full-resnet18": (ResNet, RESNET18, FULL, ["conv1.weight", "bn1.weight", "layer4.1.conv2.weight", "layer4.1.bn2.weight"]),
    "full-resnet34": (ResNet, RESNET34, FULL, ["conv1.weight", "layer4.2.conv2.weight"]),
    "full-resnet50": (ResNet, RESNET50, FULL, ["conv1.weight", "layer4.2.conv3.weight"]),
    "full-densenet121": (DenseNet, DENSENET121, FULL, ["features.conv0.weight", "features.denseblock4.denselayer16.conv2.weight", "features.norm5.weight"]),
    "full-vit-s16": (ViT, VIT_S16, FULL, ["cls_token", "patch_embed.proj.weight", "blocks.11.mlp.fc2.weight", "norm.weight"]),
    "full-uni": (ViT, UNI, FULL, ["cls_token", "patch_embed.proj.weight", "blocks.23.mlp.fc2.weight", "norm.weight"]),
    "full-ctranspath": (CTransPath, CTRANSPATH, FULL, ["patch_embed.proj.0.weight", "layers.3.blocks.1.mlp.fc2.weight", "norm.weight"]),
    "full-shufflenet": (embedding(ShuffleNet), SHUFFLENET, FULL, ["conv1.weight", "stage4.unit3.gconv2.weight"]),
    "full-squeezenet": (embedding(SqueezeNet), SQUEEZENET, (1, 3, 227, 227), ["features.0.weight", "features.12.expand3x3.weight"]),
    "full-mobilenet": (embedding(MobileNet), GOOGLE, FULL, ["features.0.0.weight", "features.18.0.weight"]),
    "full-mobilenet-torchvision": (embedding(MobileNet), TORCHVISION, FULL, ["features.0.0.weight", "features.18.0.weight"]),
}


def preprocessing():
    """PIL's bytes and PyTorch's numbers: the short side resized, the centre cut out."""
    tensors, cases = {}, []
    for index, (h, w, size, resize) in enumerate(((9, 9, 9, "bilinear"), (19, 19, 8, "bilinear"), (5, 5, 11, "bilinear"), (23, 23, 7, "bicubic"), (6, 6, 10, "bicubic"), (15, 22, 8, "bilinear"), (22, 15, 8, "bicubic"))):
        # Greys: nothing overshoots a byte, which PIL would cut off between the axes.
        count = 2 if index < 2 else 1
        pixels = (philox.uniform(count * h * w * 3, (7, 0), index) * 128 + 64).astype(np.int32).reshape(count, h, w, 3)
        short = min(h, w)
        th, tw = size * h // short, size * w // short
        top, left = round((th - size) / 2), round((tw - size) / 2)
        x = torch.tensor(pixels.astype(np.float64)).permute(0, 3, 1, 2)
        x = F.interpolate(x, size=(th, tw), mode=resize, antialias=True)[:, :, top : top + size, left : left + size]
        filters = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
        pil = [np.asarray(Image.fromarray(image.astype(np.uint8)).resize((tw, th), filters[resize])) for image in pixels]
        pil = np.stack(pil).astype(np.int32)[:, top : top + size, left : left + size]
        tensors |= {f"{index}.pixels": pixels, f"{index}.torch": x.numpy().astype(np.float32), f"{index}.pil": pil}
        cases.append({"size": size, "resize": resize})
    return tensors, {"case": json.dumps(cases, separators=(",", ":"))}


def write(folder):
    for name, arguments in CASES.items():
        made = case(*arguments, full=name.startswith("full-"))
        safetensors_file.write(os.path.join(folder, f"{name}.safetensors"), *made)
    safetensors_file.write(os.path.join(folder, "preprocess.safetensors"), *preprocessing())
