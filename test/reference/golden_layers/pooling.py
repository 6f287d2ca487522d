"""Pooling layers."""

import torch

from golden_layers.case import Case


def max_pool2d(r):
    yield Case(torch.nn.MaxPool2d(2), {"x": r.distinct(2, 3, 7, 6)}, {"kernelSize": 2})
    options = {"kernelSize": 3, "stride": 2, "padding": 1, "ceilMode": True}
    yield Case(torch.nn.MaxPool2d(3, 2, 1, ceil_mode=True), {"x": r.distinct(1, 2, 8, 9)}, options)


def avg_pool2d(r):
    yield Case(torch.nn.AvgPool2d(2), {"x": r.normal(2, 3, 7, 6)}, {"kernelSize": 2})
    options = {"kernelSize": 3, "stride": 2, "padding": 1, "countIncludePad": False}
    yield Case(torch.nn.AvgPool2d(3, 2, 1, count_include_pad=False), {"x": r.normal(1, 2, 8, 9)}, options)


def adaptive_avg_pool2d(r):
    for size in (1, [3, 2]):
        yield Case(torch.nn.AdaptiveAvgPool2d(size), {"x": r.normal(2, 3, 7, 5)}, {"outputSize": size})


GOLDENS = {"MaxPool2d": max_pool2d, "AvgPool2d": avg_pool2d, "AdaptiveAvgPool2d": adaptive_avg_pool2d}
