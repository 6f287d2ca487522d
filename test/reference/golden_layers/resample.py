"""Layers without parameters that change shapes."""

import torch

from golden_layers.case import Case


def upsample(r):
    for shape, options in (
        ([2, 3, 4, 5], {"scaleFactor": 2}),
        ([1, 2, 7, 7], {"size": [3, 5], "mode": "bicubic"}),
        ([1, 2, 4, 3], {"scaleFactor": 2, "mode": "bilinear", "alignCorners": True}),
    ):
        mode = options.get("mode", "nearest")
        corners = None if mode == "nearest" else options.get("alignCorners", False)
        module = torch.nn.Upsample(options.get("size"), options.get("scaleFactor"), mode, corners)
        yield Case(module, {"x": r.normal(*shape)}, options)


def flatten(r):
    for shape, start, end in (([2, 3, 5, 7], 1, -1), ([2, 3, 5, 7], 0, 2), ([3], 0, -1)):
        yield Case(torch.nn.Flatten(start, end), {"x": r.normal(*shape)}, {"start": start, "end": end})


def identity(r):
    yield Case(torch.nn.Identity(), {"x": r.normal(3, 5)})


GOLDENS = {"Upsample": upsample, "Flatten": flatten, "Identity": identity}
