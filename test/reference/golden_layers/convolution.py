"""Convolution layers."""

import torch

from golden_layers.case import Case


def conv2d(r):
    for inputs, outputs, kernel, options, size in (
        (3, 9, 3, {"padding": 1}, (5, 7)),
        (3, 10, [7, 5], {"stride": 2, "padding": [3, 2], "bias": False}, (13, 11)),
        (5, 5, 3, {"groups": 5, "stride": [2, 1], "padding": 1}, (7, 5)),
        (4, 6, 2, {"groups": 2, "dilation": 2, "padding": "same"}, (5, 6)),
    ):
        torch_options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        module = torch.nn.Conv2d(inputs, outputs, kernel, **torch_options)
        yield Case(
            module,
            {"x": r.normal(2, inputs, *size)},
            {"inputs": inputs, "outputs": outputs, "kernel": kernel, "options": options},
        )


def conv_transpose2d(r):
    for inputs, outputs, kernel, options, size in (
        (3, 9, 4, {"stride": 2, "padding": 1}, (3, 5)),
        (5, 10, 3, {"stride": 2, "padding": 1, "outputPadding": 1, "bias": False}, (5, 3)),
        (4, 6, [3, 2], {"groups": 2, "dilation": [2, 1]}, (3, 4)),
    ):
        torch_options = {"output_padding" if key == "outputPadding" else key: value for key, value in options.items()}
        module = torch.nn.ConvTranspose2d(inputs, outputs, kernel, **torch_options)
        yield Case(
            module,
            {"x": r.normal(2, inputs, *size)},
            {"inputs": inputs, "outputs": outputs, "kernel": kernel, "options": options},
        )


GOLDENS = {"Conv2d": conv2d, "ConvTranspose2d": conv_transpose2d}
