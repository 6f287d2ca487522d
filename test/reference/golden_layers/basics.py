"""The layers of the first models."""

import torch

import parity
from golden_layers.case import Case


def linear(r):
    for bias in (True, False):
        for lead, inputs, outputs in (([1], 1, 1), ([7], 13, 5), ([2, 3], 33, 17)):
            options = {"inputs": inputs, "outputs": outputs, "bias": bias}
            yield Case(torch.nn.Linear(inputs, outputs, bias), {"x": r.normal(*lead, inputs)}, options)


def layer_norm(r):
    for shape, eps in (([3, 1], 1e-5), ([7, 13], 1e-5), ([2, 3, 65], 1e-6)):
        yield Case(torch.nn.LayerNorm(shape[-1], eps), {"x": r.normal(*shape)}, {"width": shape[-1], "eps": eps})


def attention_pool(r):
    for gated in (True, False):
        for offsets in ([0, 1], [0, 7, 8, 21]):
            options = {"inputs": parity.SIZES["h"], "hidden": parity.SIZES["a"], "gated": gated, "offsets": offsets}
            x = {"x": r.normal(offsets[-1], options["inputs"])}
            yield Case(parity.Attention(gated), x, options, call=lambda m, x, offsets=offsets: m(x, offsets)[0])


GOLDENS = {"AttentionPool": attention_pool, "Linear": linear, "LayerNorm": layer_norm}
