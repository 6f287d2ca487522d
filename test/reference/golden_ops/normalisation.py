"""Batch normalisation and the norms over channels."""

import numpy as np
import torch
import torch.nn.functional as F


def batch_norm(x, weight=None, bias=None, *, training, momentum, eps, runningMean, runningVar):
    mean, var = (None if v is None else torch.tensor(v, dtype=torch.float64) for v in (runningMean, runningVar))
    return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)


def batch_norm_cases(r):
    def case(x, training=True, affine=True, eps=1e-5):
        channels = x.shape[1]
        inputs = {"x": x}
        if affine:
            inputs |= {"weight": r.normal(channels, scale=0.5, shift=1), "bias": r.normal(channels)}
        mean, var = None, None
        if not training:
            mean, var = r.normal(channels).tolist(), r.between(0.25, 4, channels).tolist()
        options = {"training": training, "momentum": 0.1, "eps": eps, "runningMean": mean, "runningVar": var}
        return inputs, options

    for training in (True, False):
        for shape in ([3, 1], [7, 3], [5, 64], [2, 3, 13], [3, 2, 5, 7], [2, 5, 4, 4]):
            yield case(r.normal(*shape, scale=2, shift=0.5), training)
        yield case(r.normal(4, 3, 2, 3), training, affine=False)
    yield case(r.normal(5, 197), eps=1e-3)
    yield case(r.normal(3, 2, 67))
    # Nearly constant channels with a large mean: neither E[x^2] - E[x]^2 nor a mean in one float32 will do.
    yield case(r.normal(4, 3, 5, 5, scale=1e-2, shift=1e3))
    yield case(r.normal(6, 2, 4, 4, scale=1e-2, shift=-1e3))
    yield case(np.full([3, 2, 7], 3, np.float32))


def pixel_norm(x, eps):
    return x * torch.rsqrt(torch.mean(x**2, dim=1, keepdim=True) + eps)


def channel_unit_norm(x, eps):
    return x / (torch.sqrt(torch.sum(x**2, dim=1, keepdim=True)) + eps)


def channel_norm_cases(eps, tiny):
    def cases(r):
        for shape in ([1, 1], [7, 13], [3, 64], [2, 3, 5], [2, 5, 3, 4], [1, 197, 2, 2], [2, 3, 7, 7]):
            yield {"x": r.normal(*shape, scale=2)}, {"eps": eps}
        yield {"x": r.normal(2, 5, 3, scale=tiny)}, {"eps": eps}

    return cases


GOLDENS = {
    "batch-norm": (batch_norm, batch_norm_cases),
    "pixel-norm": (pixel_norm, channel_norm_cases(1e-8, 1e-4)),
    "channel-unit-norm": (channel_unit_norm, channel_norm_cases(1e-10, 1e-6)),
}
