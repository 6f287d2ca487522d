"""Stochastic depth, with the numbers that the first draw of the generator in proveLayer (seed 1) gives."""

import torch

from golden_layers.case import Case
from golden_ops.drop_path import drop_path


class DropPath(torch.nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        return drop_path(x, self.p, [1, 0], 0) if self.training else x


def cases(r):
    for shape, p, training in (([9, 5], 0.3, True), ([33, 2, 3], 0.6, True), ([7, 5], 0.3, False), ([7, 5], 0.0, True)):
        yield Case(DropPath(p), {"x": r.normal(*shape)}, {"p": p}, training)


GOLDENS = {"DropPath": cases}
