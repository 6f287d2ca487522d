"""Pooling of images."""

import torch.nn.functional as F

from golden_ops.sampling import single


def max_pool2d(x, kernelSize, stride=None, padding=0, dilation=1, ceilMode=False):
    return F.max_pool2d(x, kernelSize, stride, padding, dilation, ceilMode)


def avg_pool2d(x, kernelSize, stride=None, padding=0, ceilMode=False, countIncludePad=True):
    return F.avg_pool2d(x, kernelSize, stride, padding, ceilMode, countIncludePad)


FIXED = (
    ([1, 1, 1, 1], {"kernelSize": 1}),
    ([2, 3, 7, 7], {"kernelSize": 2}),
    ([2, 3, 9, 8], {"kernelSize": 3, "stride": 2, "padding": 1}),
    ([1, 2, 7, 11], {"kernelSize": 3, "stride": 1, "padding": 1}),
    ([1, 2, 13, 6], {"kernelSize": [5, 2], "stride": [3, 1], "padding": [2, 0]}),
    ([1, 2, 7, 10], {"kernelSize": 3, "stride": 2, "ceilMode": True}),
    # A last window that would begin in the padding, and is dropped; one that reaches beyond the padding.
    ([1, 1, 5, 6], {"kernelSize": 2, "stride": 2, "padding": 1, "ceilMode": True}),
    ([1, 2, 6, 5], {"kernelSize": 3, "stride": 3, "padding": 1, "ceilMode": True}),
    ([1, 1, 4, 6], {"kernelSize": 2, "stride": 3}),  # inputs in no window
)


def max_cases(r):
    for shape, options in FIXED:
        yield single(r.distinct(*shape), **options)
    yield single(r.distinct(1, 2, 9, 11), kernelSize=3, stride=2, padding=1, dilation=2)
    yield single(r.distinct(1, 1, 9, 12), kernelSize=[2, 3], stride=1, padding=[1, 1], dilation=[3, 4], ceilMode=True)
    yield single(r.distinct(1, 1, 6, 6, low=-100), kernelSize=3, stride=2, padding=1)  # all below zero


def avg_cases(r):
    for shape, options in FIXED:
        yield single(r.normal(*shape), **options)
        if "padding" in options:
            yield single(r.normal(*shape), **options, countIncludePad=False)


def adaptive_cases(draw):
    def cases(r):
        for shape, size in (
            ([2, 3, 7, 7], 1),
            ([1, 2, 14, 14], 7),
            ([1, 2, 7, 11], [3, 4]),
            ([1, 1, 5, 3], [7, 1]),  # more outputs than inputs
            ([1, 2, 3, 5], [1, 8]),
            ([1, 1, 1, 1], 2),
        ):
            yield single(draw(r, *shape), outputSize=size)

    return cases


GOLDENS = {
    "max-pool2d": (max_pool2d, max_cases),
    "avg-pool2d": (avg_pool2d, avg_cases),
    "adaptive-max-pool2d": (
        lambda x, outputSize: F.adaptive_max_pool2d(x, outputSize),
        adaptive_cases(lambda r, *shape: r.distinct(*shape)),
    ),
    "adaptive-avg-pool2d": (
        lambda x, outputSize: F.adaptive_avg_pool2d(x, outputSize),
        adaptive_cases(lambda r, *shape: r.normal(*shape)),
    ),
}
