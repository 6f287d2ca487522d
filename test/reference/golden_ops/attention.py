"""Scaled dot-product attention, written out: torch 1.13 has no scaled_dot_product_attention."""

import numpy as np
import torch

import philox


def attend(q, k, v, table=None, scale=None, keyMask=None, mask=None, index=None, headsFirst=False, dropout=None):
    """q, k, v [B, H, N, d]; see src/ops/attention.ts for the options."""
    batch, heads, queries, width = q.shape
    keys = k.shape[2]
    scores = q @ k.transpose(-1, -2) * (width**-0.5 if scale is None else scale)
    if table is not None:
        by_head = table if headsFirst else table.T
        scores = scores + by_head[:, torch.tensor(index)].reshape(heads, queries, keys)
    if mask is not None:
        windows = torch.tensor(mask, dtype=scores.dtype).reshape(-1, queries, keys)
        scores = scores + windows[torch.arange(batch) % len(windows)][:, None]
    if keyMask is not None:
        counts = torch.tensor(keyMask).reshape(batch, 1, 1, keys) != 0
        scores = scores.masked_fill(~counts, -1e30)
        weights = torch.softmax(scores, -1) * counts  # a row without any key gives 0
    else:
        weights = torch.softmax(scores, -1)
    if dropout is not None:
        quads = -(-keys // 4)
        u = philox.uniform(batch * heads * queries * quads * 4, dropout["seed"], dropout["offset"])
        keep = (u >= np.float64(np.float32(dropout["p"]))).reshape(batch, heads, queries, quads * 4)[..., :keys]
        weights = weights * torch.from_numpy(keep.astype(np.float64)) / (1 - dropout["p"])
    return weights @ v


def ragged(function, offsets, *tensors):
    """`function` of every bag; tensors [total, H, d]."""
    bags = []
    for start, end in zip(offsets[:-1], offsets[1:]):
        parts = [t[start:end].transpose(0, 1)[None] for t in tensors]
        bags.append(function(*parts)[0].transpose(0, 1))
    return torch.cat(bags)


def attention(q, k, v, table=None, layout="bhnd", offsets=None, **options):
    if offsets is not None:
        return ragged(lambda *parts: attend(*parts, **options), offsets, q, k, v)
    if layout == "bnhd":
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    out = attend(q, k, v, table, **options)
    return out.transpose(1, 2) if layout == "bnhd" else out


def packed_attention(qkv, table=None, heads=1, offsets=None, **options):
    *lead, three = qkv.shape
    parts = qkv.reshape(*lead, 3, heads, three // 3 // heads).unbind(-3)
    out = attention(*parts, table, layout="bnhd", offsets=offsets, **options)
    return out.reshape(*lead, three // 3)


def grid_index(w, signed):
    cells = [(i, j) for i in range(w) for j in range(w)]
    if signed:
        return [(a - c + w - 1) * (2 * w - 1) + b - d + w - 1 for a, b in cells for c, d in cells]
    return [abs(a - c) * w + abs(b - d) for a, b in cells for c, d in cells]


def attention_cases(r):
    def operands(batch, heads, queries, keys, width, values=None, scale=1.0):
        return {
            "q": r.normal(batch, heads, queries, width, scale=scale),
            "k": r.normal(batch, heads, keys, width),
            "v": r.normal(batch, heads, keys, values or width),
        }

    yield operands(1, 1, 1, 1, 8), {}
    yield operands(2, 3, 7, 7, 16), {}
    yield operands(1, 2, 33, 65, 8), {"scale": 0.5}
    yield operands(2, 1, 1, 37, 16), {}  # one query
    yield operands(1, 3, 5, 9, 5, 7), {}  # widths that are not multiples of 4
    yield operands(1, 1, 9, 35, 32, 8), {}  # values narrower than keys
    bnhd = {name: np.ascontiguousarray(x.transpose(0, 2, 1, 3)) for name, x in operands(2, 3, 5, 11, 8).items()}
    yield bnhd, {"layout": "bnhd"}
    counts = [1, 0, 1, 1, 0, 1, 1] + [0, 0, 0, 0, 0, 0, 1]
    yield operands(2, 2, 3, 7, 8), {"keyMask": counts}
    yield operands(2, 2, 3, 7, 8), {"keyMask": counts[:7] + [0] * 7}  # no key at all
    yield {**operands(2, 2, 9, 9, 8), "table": r.normal(25, 2)}, {"index": grid_index(3, True)}
    index = {"index": grid_index(3, False), "headsFirst": True, "keyMask": [1, 1, 0, 1, 1, 1, 0, 0, 1] * 2}
    yield {**operands(2, 3, 9, 9, 8), "table": r.normal(3, 9)}, index
    windows = np.where(r.between(0, 1, 2, 4, 4) < 0.3, -100.0, 0.0).reshape(-1).tolist()
    yield {**operands(4, 2, 4, 4, 8), "table": r.normal(9, 2)}, {"index": grid_index(2, True), "mask": windows}
    yield operands(2, 2, 5, 6, 8), {"dropout": {"p": 0.4, "seed": [5, 9], "offset": 3}}
    yield operands(1, 2, 6, 6, 8, scale=4.0), {"scale": 1.0}  # scores up to 40: nearly all weight on one key
    ragged_rows = {name: x[0].transpose(1, 0, 2).copy() for name, x in operands(1, 2, 13, 13, 8).items()}
    yield ragged_rows, {"offsets": [0, 5, 5, 6, 13]}


def packed_cases(r):
    yield {"qkv": r.normal(1, 1, 12)}, {"heads": 1}
    yield {"qkv": r.normal(2, 7, 48)}, {"heads": 2}
    yield {"qkv": r.normal(2, 5, 45)}, {"heads": 3}  # heads of 5
    yield {"qkv": r.normal(4, 9, 48), "table": r.normal(25, 2)}, {"heads": 2, "index": grid_index(3, True)}
    yield {"qkv": r.normal(13, 48)}, {"heads": 2, "offsets": [0, 5, 5, 6, 13]}


GOLDENS = {"attention": (attention, attention_cases), "packed-attention": (packed_attention, packed_cases)}
