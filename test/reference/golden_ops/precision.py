"""Conversions between float32 and float16."""

import numpy as np
import torch

from golden_ops.sampling import single


def cast(x, to):
    """PyTorch's rounding; the gradient passes unchanged, where PyTorch rounds it too (ours are float32 always)."""
    if to == "f32":
        return x.clone()
    return x + (x.to(torch.float16).to(x.dtype) - x).detach()


def cases(r):
    def halves(*values):
        return np.concatenate([np.asarray(v, np.float16).ravel() for v in values]).astype(np.float32)

    for to in ("f16", "f32"):
        for shape in ([1], [7, 13], [2, 3, 5]):
            yield single(halves(r.normal(*shape, scale=2)).reshape(shape), to=to)
    yield single(halves([0.0, -0.0, 65504, -65504, 2.0**-24, -(2.0**-14), 1023 * 2.0**-24]), to="f16")


GOLDENS = {"cast": (cast, cases)}
