"""Attention layers: torch.nn.MultiheadAttention, and timm's Attention and WindowAttention written out."""

import torch

from golden_layers.case import Case
from golden_ops.attention import grid_index, packed_attention


class Attention(torch.nn.Module):
    """timm/models/vision_transformer.py"""

    def __init__(self, width, heads, bias):
        super().__init__()
        self.heads = heads
        self.qkv = torch.nn.Linear(width, 3 * width, bias)
        self.proj = torch.nn.Linear(width, width)

    def forward(self, x):
        return self.proj(packed_attention(self.qkv(x), heads=self.heads))


class WindowAttention(torch.nn.Module):
    """timm/models/swin_transformer.py"""

    def __init__(self, width, heads, window):
        super().__init__()
        self.heads, self.index = heads, grid_index(window, True)
        self.relative_position_bias_table = torch.nn.Parameter(torch.randn((2 * window - 1) ** 2, heads))
        self.qkv = torch.nn.Linear(width, 3 * width)
        self.proj = torch.nn.Linear(width, width)

    def forward(self, x, mask=None):
        options = {"heads": self.heads, "index": self.index, "mask": mask}
        return self.proj(packed_attention(self.qkv(x), self.relative_position_bias_table, **options))


def multihead_attention(r):
    def self_attention(module, x):
        return module(x, x, x, need_weights=False)[0]

    def module(width, heads, bias=True):
        layer = torch.nn.MultiheadAttention(width, heads, bias=bias, batch_first=True)
        if bias:  # zeros would hide what they do
            torch.nn.init.normal_(layer.in_proj_bias)
            torch.nn.init.normal_(layer.out_proj.bias)
        return layer

    for width, heads, bias in ((16, 2, True), (15, 3, False)):
        options = {"width": width, "heads": heads, "bias": bias}
        yield Case(module(width, heads, bias), {"x": r.normal(2, 7, width)}, options, call=self_attention)

    def cross(counts):
        ignored = None if counts is None else torch.tensor(counts).reshape(2, -1) == 0
        return lambda layer, q, k: layer(q, k, k, key_padding_mask=ignored, need_weights=False)[0]

    for queries, counts in ((1, [1, 0, 1, 1, 0, 1, 1, 1, 1, 1]), (3, None)):
        options = {"width": 16, "heads": 2, "bias": True, "keyMask": counts}
        yield Case(module(16, 2), {"q": r.normal(2, queries, 16), "k": r.normal(2, 5, 16)}, options, call=cross(counts))


def attention(r):
    for bias in (True, False):
        yield Case(Attention(16, 2, bias), {"x": r.normal(2, 5, 16)}, {"width": 16, "heads": 2, "bias": bias})


def window_attention(r):
    for windows, mask in ((4, None), (4, [0.0] * 81 + [-100.0 if i % 3 == 0 else 0.0 for i in range(81)])):
        options = {"width": 16, "heads": 2, "window": 3, "mask": mask}
        call = lambda layer, x, mask=mask: layer(x, mask)
        yield Case(WindowAttention(16, 2, 3), {"x": r.normal(windows, 9, 16)}, options, call=call)


GOLDENS = {
    "MultiheadAttention": multihead_attention,
    "Attention": attention,
    "WindowAttention": window_attention,
}
