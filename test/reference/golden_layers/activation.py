"""Layers without parameters, and Sequential."""

import torch

from golden_layers.case import Case


def activation(make, *option_sets):
    def cases(r):
        for options in option_sets or ({},):
            for shape in ([1], [7, 13], [2, 3, 5]):
                yield Case(make(**options), {"x": r.normal(*shape, scale=2)}, options)

    return cases


def softmax(r):
    for shape, axis in (([7, 13], -1), ([7, 13], 0), ([2, 3, 5], 1)):
        yield Case(torch.nn.Softmax(axis), {"x": r.normal(*shape)}, {"axis": axis})


def sequential(r):
    nn = torch.nn
    yield Case(nn.Sequential(nn.Linear(13, 7), nn.GELU(), nn.Linear(7, 5)), {"x": r.normal(3, 13)}, {"widths": [13, 7, 5]})
    yield Case(nn.Sequential(nn.Linear(5, 3)), {"x": r.normal(1, 5)}, {"widths": [5, 3]})


NN = torch.nn
GOLDENS = {
    "ReLU": activation(NN.ReLU),
    "LeakyReLU": activation(lambda negativeSlope: NN.LeakyReLU(negativeSlope), {"negativeSlope": 0.01}, {"negativeSlope": 0.2}),
    "GELU": activation(NN.GELU, {"approximate": "none"}, {"approximate": "tanh"}),
    "SiLU": activation(NN.SiLU),
    "Hardswish": activation(NN.Hardswish),
    "Hardsigmoid": activation(NN.Hardsigmoid),
    "Tanh": activation(NN.Tanh),
    "Sigmoid": activation(NN.Sigmoid),
    "Softplus": activation(lambda: NN.Softplus(threshold=80)),
    "Softmax": softmax,
    "Sequential": sequential,
}
