"""The blocks the published networks are made of, written out from their papers and libraries, with their state-dict keys."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from golden_layers.case import Case


def shaken(module):
    """Norm weights, biases and running statistics away from 1 and 0, so that each of them matters."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (nn.BatchNorm2d, nn.LayerNorm)):
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(0, 0.3)
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.2)
                part.running_var.uniform_(0.5, 1.5)
    return module


def conv3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class BasicBlock(nn.Module):  # torchvision.models.resnet
    expansion = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.bn1 = conv3(inputs, width, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv3(width, width), nn.BatchNorm2d(width)
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        identity = self.downsample(x) if hasattr(self, "downsample") else x
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + identity)


class Bottleneck(nn.Module):  # torchvision.models.resnet, the stride on the 3x3 convolution
    expansion = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = width * self.expansion
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv3(width, width, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        identity = self.downsample(x) if hasattr(self, "downsample") else x
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + identity)


def residual(block):
    def cases(r):
        for inputs, width, stride, size, training in (
            (8, 8 // block.expansion, 1, (9, 11), True),
            (6, 5, 2, (8, 7), True),
            (6, 5, 2, (8, 7), False),
        ):
            module = shaken(block(inputs, width, stride))
            options = {"inputs": inputs, "width": width, "stride": stride}
            yield Case(module, {"x": r.normal(3, inputs, *size)}, options, training)

    return cases


class DenseLayer(nn.Module):  # torchvision.models.densenet._DenseLayer, with the concatenation of its block
    def __init__(self, inputs, growth, bottleneck):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, bottleneck * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bottleneck * growth)
        self.conv2 = conv3(bottleneck * growth, growth)

    def forward(self, x):
        new = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))
        return torch.cat([x, new], 1)


def dense_layer(r):
    for training in (True, False):
        options = {"inputs": 7, "growth": 3, "bottleneck": 4}
        yield Case(shaken(DenseLayer(**options)), {"x": r.normal(2, 7, 6, 5)}, options, training)


class Mlp(nn.Module):  # timm.layers.Mlp
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Attention(nn.Module):  # timm.models.vision_transformer.Attention
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, bias=None):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5
        if bias is not None:
            scores = bias(scores)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))


def mlp(r):
    for shape, hidden in (([3, 1], 1), ([2, 7, 13], 29)):
        options = {"width": shape[-1], "hidden": hidden}
        yield Case(Mlp(**options), {"x": r.normal(*shape)}, options)


class LayerScale(nn.Module):  # timm
    def __init__(self, width, start):
        super().__init__()
        self.gamma = nn.Parameter(start * torch.ones(width) + 0.1 * torch.randn(width))

    def forward(self, x):
        return x * self.gamma


class ViTBlock(nn.Module):  # timm.models.vision_transformer.Block
    def __init__(self, width, heads, hidden, layerScale):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, 1e-6), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, 1e-6), Mlp(width, hidden)
        if layerScale is not None:
            self.ls1, self.ls2 = LayerScale(width, layerScale), LayerScale(width, layerScale)

    def forward(self, x):
        scale = lambda name, y: getattr(self, name)(y) if hasattr(self, name) else y
        x = x + scale("ls1", self.attn(self.norm1(x)))
        return x + scale("ls2", self.mlp(self.norm2(x)))


def vit_block(r):
    for tokens, layer_scale in ((17, None), (50, 0.5)):
        options = {"width": 24, "heads": 3, "hidden": 40, "layerScale": layer_scale}
        yield Case(shaken(ViTBlock(**options)), {"x": r.normal(2, tokens, 24)}, options)


def relative_position_index(w):
    grid = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")).flatten(1)
    dy, dx = grid[:, :, None] - grid[:, None, :] + w - 1
    return dy * (2 * w - 1) + dx


class WindowAttention(Attention):  # timm.models.swin_transformer
    def __init__(self, width, heads, window):
        super().__init__(width, heads)
        self.index = relative_position_index(window)
        self.relative_position_bias_table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * 0.5)

    def forward(self, x, mask):
        def add(scores):
            scores = scores + self.relative_position_bias_table[self.index].permute(2, 0, 1)
            if mask is None:
                return scores
            b, h, n, _ = scores.shape
            return (scores.view(-1, len(mask), h, n, n) + mask[:, None]).view(b, h, n, n)

        return super().forward(x, add)


def partition(x, w):
    b, h, width, c = x.shape
    return x.view(b, h // w, w, width // w, w, c).transpose(2, 3).reshape(-1, w * w, c)


class SwinBlock(nn.Module):  # timm.models.swin_transformer.SwinTransformerBlock
    def __init__(self, width, heads, hidden, window, shift, size):
        super().__init__()
        self.window, self.shift, self.size = window, shift, size
        self.norm1, self.attn = nn.LayerNorm(width), WindowAttention(width, heads, window)
        self.norm2, self.mlp = nn.LayerNorm(width), Mlp(width, hidden)

    def mask(self):
        if self.shift == 0:
            return None
        regions = torch.zeros(1, *self.size, 1)
        edges = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        for i, rows in enumerate(edges):
            for j, columns in enumerate(edges):
                regions[:, rows, columns] = 3 * i + j
        windows = partition(regions, self.window).squeeze(-1)
        return (windows[:, None] != windows[:, :, None]) * -100.0

    def forward(self, x):
        b, n, c = x.shape
        h, w = self.size
        y = self.norm1(x).view(b, h, w, c)
        y = self.attn(partition(y.roll((-self.shift, -self.shift), (1, 2)), self.window), self.mask())
        y = y.view(b, h // self.window, w // self.window, self.window, self.window, c).transpose(2, 3)
        x = x + y.reshape(b, h, w, c).roll((self.shift, self.shift), (1, 2)).reshape(b, n, c)
        return x + self.mlp(self.norm2(x))


def swin_block(r):
    for shift in (0, 2):
        options = {"width": 12, "heads": 3, "hidden": 20, "window": 4, "shift": shift, "size": [8, 12]}
        yield Case(shaken(SwinBlock(**options)), {"x": r.normal(2, 96, 12)}, options)


class ConvMixerBlock(nn.Module):  # Hist2ST, HIST2ST.py (systems.md 9.5)
    def __init__(self, width, kernel):
        super().__init__()
        depthwise = lambda: nn.Conv2d(width, width, kernel, groups=width, padding="same")
        self.dw = nn.Sequential(
            depthwise(), nn.BatchNorm2d(width), nn.GELU(), depthwise(), nn.BatchNorm2d(width), nn.GELU()
        )
        self.pw = nn.Sequential(nn.Conv2d(width, width, 1), nn.GELU(), nn.BatchNorm2d(width))

    def forward(self, x):
        return self.pw(x + self.dw(x))


def conv_mixer_block(r):
    for training in (True, False):
        options = {"width": 6, "kernel": 5}
        yield Case(shaken(ConvMixerBlock(**options)), {"x": r.normal(3, 6, 8, 7)}, options, training)


class SqueezeExcite(nn.Module):  # timm EfficientNet: SiLU between, sigmoid gate
    def __init__(self, width, reduced):
        super().__init__()
        self.conv_reduce, self.conv_expand = nn.Conv2d(width, reduced, 1), nn.Conv2d(reduced, width, 1)

    def forward(self, x):
        gate = self.conv_expand(F.silu(self.conv_reduce(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid()


class MBConv(nn.Module):  # timm InvertedResidual; SE reduces to a quarter of the block's inputs
    def __init__(self, inputs, outputs, expansion, stride):
        super().__init__()
        middle = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv_pw, self.bn1 = nn.Conv2d(inputs, middle, 1, bias=False), nn.BatchNorm2d(middle)
        self.conv_dw = nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.se = SqueezeExcite(middle, inputs // 4)
        self.conv_pwl, self.bn3 = nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, x):
        y = F.silu(self.bn1(self.conv_pw(x)))
        y = self.se(F.silu(self.bn2(self.conv_dw(y))))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.residual else y


def mb_conv(r):
    for inputs, outputs, stride, training in ((8, 8, 1, True), (8, 6, 2, True), (8, 8, 1, False)):
        options = {"inputs": inputs, "outputs": outputs, "expansion": 4, "stride": stride}
        yield Case(shaken(MBConv(**options)), {"x": r.normal(2, inputs, 7, 6)}, options, training)


class SummaryMixer(nn.Module):  # SEQUOIA, src/tformer_lin.py SummaryMixing: one head
    def __init__(self, width, f, s, c):
        super().__init__()
        self.local_norm, self.summary_norm = nn.LayerNorm(f), nn.LayerNorm(s)
        self.f, self.s, self.c = nn.Linear(width, f), nn.Linear(width, s), nn.Linear(f + s, c)

    def forward(self, x):
        local = F.gelu(self.local_norm(self.f(x)))
        summary = F.gelu(self.summary_norm(self.s(x).mean(1, keepdim=True)))
        return F.gelu(self.c(torch.cat([local, summary.expand(-1, x.shape[1], -1)], -1)))


class SummaryMixing(nn.Module):  # SEQUOIA, MultiHeadSummary: the heads side by side, projected back
    def __init__(self, width, heads, head):
        super().__init__()
        self.mixers = nn.ModuleList(SummaryMixer(width, head, head, head) for _ in range(heads))
        self.projection = nn.Linear(heads * head, width)

    def forward(self, x):
        return self.projection(torch.cat([mixer(x) for mixer in self.mixers], -1))


def summary_mixing(r):
    for width, heads, head, tokens in ((12, 3, 5, 7), (20, 2, 8, 49)):
        options = {"width": width, "heads": heads, "head": head}
        yield Case(shaken(SummaryMixing(**options)), {"x": r.normal(2, tokens, width)}, options)


class EqualLinear(nn.Module):  # StyleGAN2 (rosinality)
    def __init__(self, inputs, outputs, bias, lr):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)) + 0.1 * torch.randn(outputs))
        self.scale, self.lr = lr / math.sqrt(inputs), lr

    def forward(self, x):
        return F.linear(x, self.weight * self.scale, self.bias * self.lr)


class ModulatedConv2d(nn.Module):  # StyleGAN2, with explicit weights per sample as printed in the paper
    def __init__(self, inputs, outputs, kernel, style, up):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(style, inputs, 1, 1)
        self.scale, self.up = 1 / math.sqrt(inputs * kernel**2), up

    def forward(self, x, style):
        n, c, h, w = x.shape
        weight = self.scale * self.weight * self.modulation(style).view(n, 1, c, 1, 1)
        weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4], keepdim=True) + 1e-8)
        outputs, kernel = weight.shape[1], weight.shape[-1]
        x = x.reshape(1, n * c, h, w)
        if not self.up:
            out = F.conv2d(x, weight.reshape(n * outputs, c, kernel, kernel), padding=kernel // 2, groups=n)
            return out.view(n, outputs, h, w)
        weight = weight.transpose(1, 2).reshape(n * c, outputs, kernel, kernel)
        out = F.conv_transpose2d(x, weight, stride=2, groups=n)
        taps = torch.tensor([1.0, 3, 3, 1], dtype=x.dtype)
        blur = (taps[:, None] * taps / 64 * 4)[None, None]
        out = F.pad(out.view(n * outputs, 1, *out.shape[-2:]), (1, 1, 1, 1))
        return F.conv2d(out, blur).view(n, outputs, 2 * h, 2 * w)


class StyledConv(nn.Module):  # S2FGAN: modulated convolution, bias and leaky ReLU times the root of 2; no noise
    def __init__(self, inputs, outputs, kernel, style, up):
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, kernel, style, up)
        self.activate = nn.Module()
        self.activate.bias = nn.Parameter(0.3 * torch.randn(outputs))

    def forward(self, x, style):
        y = self.conv(x, style) + self.activate.bias.view(1, -1, 1, 1)
        return F.leaky_relu(y, 0.2) * math.sqrt(2)


def styled_conv(r):
    for up in (False, True):
        options = {"inputs": 5, "outputs": 4, "kernel": 3, "style": 7, "up": up}
        yield Case(StyledConv(**options), {"x": r.normal(2, 5, 6, 5), "style": r.normal(2, 7)}, options)


GOLDENS = {
    "BasicBlock": residual(BasicBlock),
    "Bottleneck": residual(Bottleneck),
    "DenseLayer": dense_layer,
    "Mlp": mlp,
    "ViTBlock": vit_block,
    "SwinBlock": swin_block,
    "ConvMixerBlock": conv_mixer_block,
    "MBConv": mb_conv,
    "SummaryMixing": summary_mixing,
    "StyledConv": styled_conv,
}
