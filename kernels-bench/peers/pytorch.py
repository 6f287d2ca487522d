"""PyTorch as an anchor: the same work by the ids of the benches, on CUDA where there is one, else on the same cores.

Talks to pytorch.mjs by lines of JSON: first the variants that it has, then for each {"variant", "id", "times"} it does the
work so often, waits for the device and answers {"done": true}; {"variant", "id", "free": true} forgets it, and "summaries"
computes it once on the numbers of ../numbers.ts. TF32 is off: float32 means float32. With CUDA and PyTorch 2 the training steps
also run compiled; before PyTorch 2 attention is products and a softmax.
"""

import json
import os
import sys

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
COMPILES = CUDA and hasattr(torch, "compile")
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
torch.manual_seed(1)
if not CUDA:
    # Its own choice is a thread for each physical core; the drivers of the others take every logical one.
    torch.set_num_threads(len(os.sched_getaffinity(0)))


def numbers(shape, seed):
    """As in ../numbers.ts."""
    h = numpy.arange(numpy.prod(shape), dtype=numpy.uint32)
    h += numpy.uint32(seed * 0x9E3779B1 & 0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> shift)) * numpy.uint32(factor)
    h ^= h >> 16
    values = h.view(numpy.int32) / 2**32 * 12**0.5
    return torch.from_numpy(values.astype(numpy.float32)).view(shape).to(DEVICE)


def summary(result):
    y = result.detach().double().flatten().cpu()
    return [len(y), y.sum().item(), (y * y).sum().item(), y[0].item(), y[-1].item()]


def operation(shapes, work, dtype=torch.float32):
    def prepare():
        inputs = [numbers(shape, i + 1).to(dtype) for i, shape in enumerate(shapes)]
        def run():
            result = work(*inputs)
            return list(result) if isinstance(result, tuple) else [result]

        return run

    return prepare


def both_passes(shapes, seed_shape, work):
    """Forward and backward; all inputs get gradients."""

    def prepare():
        inputs = [numbers(shape, i + 1).requires_grad_() for i, shape in enumerate(shapes)]
        seed = numbers(seed_shape, len(shapes) + 1)

        def run():
            y = work(*inputs)
            return [y, *torch.autograd.grad(y, inputs, seed)]

        return run

    return prepare


def load_numbers(parameters):
    """The common first values: of a weight those of its transpose, [in, out]."""
    for i, parameter in enumerate(parameters):
        shape = parameter.shape[::-1]
        parameter.data = 0.05 * numbers(shape, i + 1).t().contiguous()


def training(model_of, *shapes, precision=None, compiled=False):
    """Forward, mean squared error, backward, gradient norm, AdamW."""

    def prepare(common=False):
        """With the common numbers as parameters, and without dropout."""
        model = model_of().to(DEVICE)
        if common:
            model.eval()
            load_numbers(model.parameters())
        forward = torch.compile(model) if compiled else model
        *inputs, targets = [numbers(shape, 100 + i) for i, shape in enumerate(shapes)]
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        if precision:
            scaler = torch.cuda.amp.GradScaler(enabled=CUDA)

        def step():
            with torch.autocast(DEVICE, dtype=precision, enabled=precision is not None):
                loss = F.mse_loss(forward(*inputs), targets)
            if precision:
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
            else:
                loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1e9)
            if precision:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
            optimizer.zero_grad()
            return loss

        return step

    return prepare


class Abmil(nn.Module):
    def __init__(self, width=1024, hidden=512, attention=256, genes=20530):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(0.25))
        self.value = nn.Sequential(nn.Linear(hidden, attention), nn.Tanh(), nn.Dropout(0.25))
        self.gate = nn.Sequential(nn.Linear(hidden, attention), nn.Sigmoid(), nn.Dropout(0.25))
        self.score = nn.Linear(attention, 1)
        self.head = nn.Linear(hidden, genes)

    def forward(self, x):
        h = self.embed(x)
        weights = torch.softmax(self.score(self.value(h) * self.gate(h)).T, dim=1)
        return self.head(weights @ h)


class Mixer(nn.Module):
    def __init__(self, width, head):
        super().__init__()
        self.local_norm, self.summary_norm = nn.LayerNorm(head), nn.LayerNorm(head)
        self.f, self.s = nn.Linear(width, head), nn.Linear(width, head)
        self.c = nn.Linear(2 * head, head)

    def forward(self, x, average):
        local = F.gelu(self.local_norm(self.f(x)))
        summary = F.gelu(self.summary_norm(self.s(average))).unsqueeze(1).expand_as(local)
        return F.gelu(self.c(torch.cat([local, summary], -1)))


class SummaryMixing(nn.Module):
    def __init__(self, width, heads, head):
        super().__init__()
        self.mixers = nn.ModuleList(Mixer(width, head) for _ in range(heads))
        self.projection = nn.Linear(heads * head, width)

    def forward(self, x):
        average = x.mean(1)
        return self.projection(torch.cat([mixer(x, average) for mixer in self.mixers], -1))


class Attention(nn.Module):
    def __init__(self, width, heads, bias=True):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.proj(attend(q, k, v).transpose(1, 2).reshape(batch, tokens, width))


def attend(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v)
    return torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, -1) @ v


class Block(nn.Module):
    def __init__(self, width, heads, hidden, mixer=None, bias=True):
        super().__init__()
        self.norm = nn.Identity() if mixer else nn.LayerNorm(width)
        self.mixer = mixer or Attention(width, heads, bias)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x):
        y = x + self.mixer(self.norm(x))
        return y + self.mlp(self.norm2(y))


class Sequoia(nn.Module):
    def __init__(self, summary, tokens=100, width=1024, depth=6, heads=16, head=64, genes=20820):
        super().__init__()
        self.position = nn.Parameter(torch.randn(tokens, width))

        def block():
            if summary:
                return Block(width, heads, width, SummaryMixing(width, heads, head))
            return Block(width, heads, 2 * width, bias=False)

        self.blocks = nn.Sequential(*(block() for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, genes)

    def forward(self, x):
        return self.head(self.norm(self.blocks(x + self.position).mean(1)))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        same = stride == 1 and inputs == outputs
        self.downsample = (
            nn.Identity() if same else nn.Sequential(shortcut, nn.BatchNorm2d(outputs))
        )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class ResNet18(nn.Module):
    def __init__(self, genes=250):
        super().__init__()
        layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        layers.append(nn.MaxPool2d(3, 2, 1))
        inputs = 64
        for outputs, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
            layers += [BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)]
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(512, genes)

    def forward(self, x):
        return self.head(self.layers(x).mean((2, 3)))


class VitS16(nn.Module):
    def __init__(self, genes=250, width=384, depth=12, heads=6):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 197, width))
        self.blocks = nn.Sequential(*(Block(width, heads, 4 * width) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, genes)

    def forward(self, x):
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.position
        return self.head(self.norm(self.blocks(tokens))[:, 0])


def perceptron():
    return nn.Sequential(nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 4927))


ROWS = (4096, 1024)
IMAGES, TAPS = (8, 64, 56, 56), (64, 64, 3, 3)
HEADS = (1, 8, 1024, 64)
LARGE = (2**24,)


def conv3x3(x, w):
    return F.conv2d(x, w, padding=1)


def conv3x3_gradients(x, w, dy):
    one, zero = [1, 1], [0, 0]
    return torch.ops.aten.convolution_backward(
        dy, x, w, None, one, one, one, False, zero, 1, [True, True, False]
    )[:2]


def layer_norm(x, weight, bias):
    return F.layer_norm(x, (1024,), weight, bias)


KERNELS = {
    "matmul-1024": operation([(1024, 1024), (1024, 1024)], torch.matmul),
    "matmul-4096": operation([(4096, 1024), (1024, 512)], torch.matmul),
    "head-forward": operation([(16, 1024), (20530, 1024)], lambda x, w: x @ w.T),
    "head-dx": operation([(16, 20530), (20530, 1024)], torch.matmul),
    "head-dw": operation([(16, 20530), (16, 1024)], lambda dy, x: dy.T @ x),
    "add": operation([LARGE, LARGE], torch.add),
    "sum": operation([LARGE], torch.sum),
    "gelu": operation([ROWS], F.gelu),
    "softmax": operation([ROWS], lambda x: torch.softmax(x, -1)),
    "layer-norm": operation([ROWS, (1024,), (1024,)], layer_norm),
    "layer-norm-both": both_passes([ROWS, (1024,), (1024,)], ROWS, layer_norm),
    "conv3x3-forward": operation([IMAGES, TAPS], conv3x3),
    "conv3x3-gradients": operation([IMAGES, TAPS, IMAGES], conv3x3_gradients),
    "conv7x7-forward": operation(
        [(8, 3, 224, 224), (64, 3, 7, 7)], lambda x, w: F.conv2d(x, w, stride=2, padding=3)
    ),
    "attention-forward": operation([HEADS] * 3, attend),
    "attention-both": both_passes([HEADS] * 3, HEADS, attend),
}

# By bench: the model, and the shapes of its inputs and targets.
STEPS = {
    "mlp-step": (perceptron, (128, 1024), (128, 4927)),
    "abmil-step": (Abmil, (4096, 1024), (1, 20530)),
    "summary-mixing-step": (lambda: Sequoia(True), (16, 100, 1024), (16, 20820)),
    "transformer-step": (lambda: Sequoia(False), (16, 100, 1024), (16, 20820)),
    "resnet18-step": (ResNet18, (32, 3, 224, 224), (32, 250)),
    "vit-s-step": (VitS16, (4, 3, 224, 224), (4, 250)),
}

# Tensor cores: products in bfloat16, whose range needs no care, and steps in float16 as ours.
BF16 = torch.bfloat16
MIXED = {
    "matmul-1024-half": operation([(1024, 1024)] * 2, torch.matmul, BF16),
    "matmul-2048-half": operation([(2048, 2048)] * 2, torch.matmul, BF16),
    "matmul-4096-nt-half": operation([(4096, 1024), (512, 1024)], lambda a, b: a @ b.T, BF16),
    "matmul-4096-tn-half": operation([(4096, 1024), (4096, 512)], lambda a, b: a.T @ b, BF16),
    "conv-3x3-half": operation([IMAGES, TAPS], conv3x3, BF16),
    "attention-half": operation([HEADS] * 3, attend, BF16),
    **{
        id.replace("-step", "-mixed-step"): training(*step, precision=torch.float16)
        for id, step in STEPS.items()
    },
}

attention = "" if hasattr(F, "scaled_dot_product_attention") else ", unfused attention"
name = f"PyTorch {torch.__version__.split('+')[0]}{attention}"
place = torch.cuda.get_device_name() if CUDA else "CPU"
steps = {id: training(*step) for id, step in STEPS.items()}
variants = {f"{name}, {place}": {**KERNELS, **steps, **(MIXED if CUDA else {})}}
if COMPILES:
    compiled = {id: training(*step, compiled=True) for id, step in STEPS.items()}
    variants[f"{name} compiled, {place}"] = compiled


def answer(message):
    print(json.dumps(message), flush=True)


def summaries(variant, id):
    if id not in STEPS:
        return [summary(result) for result in variants[variant][id]()()]
    step = variants[variant][id](common=True)
    return [[step().item(), step().item()]]


answer({variant: list(work) for variant, work in variants.items()})
prepared = {}
for line in sys.stdin:
    request = json.loads(line)
    key = (request["variant"], request["id"])
    if request.get("summaries"):
        answer({"summaries": summaries(*key)})
        continue
    if request.get("free"):
        prepared.pop(key, None)
        if CUDA:
            torch.cuda.empty_cache()
    else:
        run = prepared.get(key) or prepared.setdefault(key, variants[key[0]][key[1]]())
        for _ in range(request["times"]):
            run()
        if CUDA:
            torch.cuda.synchronize()
    answer({"done": True})
