"""Small ones of the networks that come with weights, in their papers' terms and under the names of src/models/extractors.

Dropout in front of the classifiers is off: it has no parameters, and its draws are no golden.
"""

import torch
import torch.nn.functional as F
from torch import nn

from golden_layers.blocks import shaken
from golden_layers.case import Case


class NormalisedConv(nn.Conv2d):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.bn = nn.BatchNorm2d(self.out_channels)

    def forward(self, x):
        return self.bn(super().forward(x))


class Unit(nn.Module):  # Zhang et al. 2018, figure 2 (b) and (c)
    def __init__(self, inputs, outputs, groups, stride):
        super().__init__()
        own = outputs - inputs if stride == 2 else outputs
        self.groups, self.stride = groups, stride
        self.gconv1 = NormalisedConv(inputs, own, 1, groups=groups)
        self.dwconv = NormalisedConv(own, own, 3, stride, 1, groups=own)
        self.gconv2 = NormalisedConv(own, own, 1, groups=groups)

    def forward(self, x):
        y = F.relu(self.gconv1(x))
        n, c, h, w = y.shape
        y = y.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.gconv2(self.dwconv(y))
        return F.relu(x + y if self.stride == 1 else torch.cat([y, F.avg_pool2d(x, 3, 2, 1)], 1))


class ShuffleNet(nn.Module):
    def __init__(self, groups, stem, width, depths, classes):
        super().__init__()
        self.conv1 = NormalisedConv(3, stem, 3, 2, 1)
        inputs = stem
        for i, depth in enumerate(depths):
            stage = nn.Module()
            for j in range(depth):
                stage.add_module(f"unit{j}", Unit(inputs, width * 2**i, groups, 2 if j == 0 else 1))
                inputs = width * 2**i
            self.add_module(f"stage{i + 2}", stage)
        self.fc = nn.Linear(inputs, classes)

    def embed(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 3, 2, 1)
        for stage in (self.stage2, self.stage3, self.stage4):
            for unit in stage.children():
                x = unit(x)
        return x.mean((2, 3))

    def forward(self, x):
        return self.fc(self.embed(x))


class Fire(nn.Module):  # torchvision.models.squeezenet
    def __init__(self, inputs, squeeze):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, 4 * squeeze, 1)
        self.expand3x3 = nn.Conv2d(squeeze, 4 * squeeze, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):  # torchvision.models.squeezenet1_0
    def __init__(self, weights, stem, squeeze, classes):
        super().__init__()
        halve = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)
        fires = [Fire(8 * squeeze[i - 1] if i else stem, s) for i, s in enumerate(squeeze)]
        front = [nn.Conv2d(3, stem, 7, 2), nn.ReLU(), halve()]
        self.features = nn.Sequential(*front, *fires[:3], halve(), *fires[3:7], halve(), *fires[7:])
        last = nn.Conv2d(8 * squeeze[-1], classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(0.0), last, nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def embed(self, x):
        return self.features(x).mean((2, 3))

    def forward(self, x):
        return self.classifier(self.features(x)).flatten(1)


class SameConv(nn.Conv2d):  # TensorFlow's padding
    def forward(self, x):
        borders = []
        for size in (x.shape[3], x.shape[2]):
            kernel, stride = self.kernel_size[0], self.stride[0]
            zeros = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            borders += [zeros // 2, zeros - zeros // 2]
        return super().forward(F.pad(x, borders))


def unit(weights, inputs, outputs, kernel=1, stride=1, groups=1):
    if weights == "google":
        return [SameConv(inputs, outputs, kernel, stride, groups=groups)]
    conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class InvertedResidual(nn.Module):  # torchvision.models.mobilenetv2
    def __init__(self, weights, inputs, outputs, expansion, stride):
        super().__init__()
        middle = inputs * expansion
        layers = [nn.Sequential(*unit(weights, inputs, middle), nn.ReLU6())] if expansion > 1 else []
        layers.append(nn.Sequential(*unit(weights, middle, middle, 3, stride, middle), nn.ReLU6()))
        self.conv = nn.Sequential(*layers, *unit(weights, middle, outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNet(nn.Module):  # torchvision.models.mobilenet_v2
    def __init__(self, weights, stem, stages, width, classes):
        super().__init__()
        layers = [nn.Sequential(*unit(weights, 3, stem, 3, 2), nn.ReLU6())]
        inputs = stem
        for expansion, channels, count, first in stages:
            for i in range(count):
                layers.append(InvertedResidual(weights, inputs, channels, expansion, first if i == 0 else 1))
                inputs = channels
        self.features = nn.Sequential(*layers, nn.Sequential(*unit(weights, inputs, width), nn.ReLU6()))
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(width, classes))

    def embed(self, x):
        return self.features(x).mean((2, 3))

    def forward(self, x):
        return self.classifier(self.embed(x))


def cases(network, *runs):
    """Each run with an image size: the logits, on which every parameter has a part, or the embedding."""

    def draw(r):
        for options, size, training, classify in runs:
            call = None if classify else lambda module, x: module.embed(x)
            images = r.normal(2, 3, *size) * 2
            yield Case(shaken(network(**options)), {"x": images}, {**options, "classify": classify}, training, call)

    return draw


MOBILENET = {"stem": 4, "stages": [[1, 3, 1, 1], [2, 4, 2, 2], [3, 5, 1, 2]], "width": 8, "classes": 5}
GOOGLE, TORCHVISION = ({"weights": weights, **MOBILENET} for weights in ("google", "torchvision"))
SQUEEZENET = {"weights": "caffe", "stem": 6, "squeeze": [2, 2, 3, 3, 3, 4, 4, 4], "classes": 5}
SHUFFLENET = {"groups": 2, "stem": 4, "width": 12, "depths": [1, 2, 1], "classes": 3}
GOLDENS = {
    "ShuffleNet": cases(ShuffleNet, (SHUFFLENET, (40, 35), True, True), (SHUFFLENET, (33, 40), False, False)),
    "SqueezeNet": cases(SqueezeNet, (SQUEEZENET, (41, 38), False, True), (SQUEEZENET, (35, 40), False, False)),
    "MobileNet": cases(
        MobileNet,
        (GOOGLE, (24, 24), False, False),
        (GOOGLE, (25, 27), False, True),
        (TORCHVISION, (24, 27), True, True),
    ),
}
