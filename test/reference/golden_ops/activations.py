"""Elementwise functions beyond those of the first models, and `where`."""

import numpy as np
import torch
import torch.nn.functional as F

from golden_ops.basics_cases import TAILS, normal, unary
from golden_ops.sampling import single


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def clamp(x, min=None, max=None):
    return torch.clamp(x, min, max)


def between(low, high):
    return lambda r, *shape: r.between(low, high, *shape)


def hard(r, *shape):
    """None near the kinks at -3 and 3."""
    x = r.between(-6, 6, *shape)
    return np.where(np.abs(np.abs(x) - 3) < 0.05, x + np.float32(0.2), x)


def pow_cases(r):
    for exponent in (2, 3, -1, -2, 0, 1):  # whole: either sign
        yield single(r.away_from_zero(7, 13), exponent=exponent)
    for exponent in (0.5, -0.5, 1.5, -2.25, 7.3):
        yield single(r.between(0.05, 8, 7, 13), exponent=exponent)
    yield single(np.array([1e-12, 1e-3, 1, 1e3, 1e12], np.float32), exponent=1.5)
    yield single(np.array([0, -2, 3], np.float32), exponent=3)
    yield single(np.array([0, -2, 3], np.float32), exponent=0)


def clamp_cases(r):
    for options in ({"min": -0.5, "max": 1.25}, {"min": 0.25}, {"max": 0.25}):
        for shape in ([1], [7, 13], [2, 3, 5]):
            yield single(r.normal(*shape), **options)
    yield single(np.array([-1, -0.5, 0, 1.25, 2, 1e30, -1e30], np.float32), min=-0.5, max=1.25)


def where(a, b, condition, shape):
    return torch.where(torch.tensor(condition).reshape(shape) != 0, a, b)


def where_cases(r):
    for shape in ([1], [7, 13], [2, 3, 5]):
        condition = r.state.randint(0, 2, int(np.prod(shape))) * 0.5
        yield {"a": r.normal(*shape), "b": r.normal(*shape)}, {"condition": condition.tolist(), "shape": shape}


GOLDENS = {
    "leaky-relu": (
        lambda x, negativeSlope: F.leaky_relu(x, negativeSlope),
        unary(normal, -80, 80, -1e-6, 1e-6, option_sets=({"negativeSlope": 0.01}, {"negativeSlope": 0.2})),
    ),
    "gelu-tanh": (gelu_tanh, unary(normal, *TAILS)),
    "silu": (F.silu, unary(normal, *TAILS, 80, -80)),
    "hardswish": (F.hardswish, unary(hard, *TAILS, 80, -80)),
    "hardsigmoid": (F.hardsigmoid, unary(hard, *TAILS, 80, -80)),
    "softplus": (lambda x: F.softplus(x, threshold=80), unary(normal, *TAILS, 19.5, 20.5, 79, -80)),
    "rsqrt": (torch.rsqrt, unary(between(0.05, 8), 1e-12, 1e12, 1)),
    "pow": (lambda x, exponent: torch.pow(x, exponent), pow_cases),
    "clamp": (clamp, clamp_cases),
    "abs": (torch.abs, unary(normal, -1e30, 1e-30, 0)),
    "erf": (torch.erf, unary(normal, *TAILS, 1e-20, 0.92, 0.94, -80)),
    "lgamma": (torch.lgamma, unary(between(0.05, 12), 1e-4, 1e-20, 0.999, 1.001, 1.4616, 1.999, 2.001, 7.99, 8.01, 1e3, 1e6, 1e30)),
    "reciprocal": (torch.reciprocal, unary(lambda r, *shape: r.away_from_zero(*shape), 1e-12, -1e12)),
    "log1p": (torch.log1p, unary(between(-0.9, 8), 1e-20, -1e-6, 1e-6, 1e30, -0.29, 0.41)),
    "expm1": (torch.expm1, unary(normal, 1e-20, -1e-6, 1e-6, -80, 80, 0.499, -0.501)),
    "where": (where, where_cases),
}
