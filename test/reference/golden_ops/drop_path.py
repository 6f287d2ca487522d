"""Stochastic depth."""

import numpy as np
import torch

import philox
from golden_ops.sampling import single


def drop_path(x, p, seed, offset):
    u = philox.uniform(len(x), seed, offset)
    keep = torch.from_numpy((u >= np.float64(np.float32(p))).astype(np.float64))
    return x * keep.reshape(-1, *[1] * (x.dim() - 1)) / (1.0 - p)


def cases(r):
    for shape, p, seed, offset in (
        ([1], 0.5, [1, 0], 0),
        ([13], 0.5, [1, 0], 1),
        ([7, 1], 0.1, [0xDEADBEEF, 0x12345678], 3),
        ([7, 13], 0.0, [1, 0], 0),
        ([33, 7, 3], 0.25, [42, 0], 1),
        ([5, 8, 49], 0.5, [42, 7], 0xFFFFFFFF),
        ([31, 2], 0.9, [0xFFFFFFFF, 0xFFFFFFFF], 12345),
    ):
        yield single(r.away_from_zero(*shape), p=p, seed=seed, offset=offset)


GOLDENS = {"drop-path": (drop_path, cases)}
