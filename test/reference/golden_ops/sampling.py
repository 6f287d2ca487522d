"""Seeded sample inputs, exact in float32."""

import numpy as np


class Random:
    """Seeded float32-representable inputs."""

    def __init__(self, seed):
        self.state = np.random.RandomState(seed)

    def normal(self, *shape, scale=1.0, shift=0.0):
        return np.asarray(self.state.standard_normal(shape) * scale + shift, np.float32)

    def between(self, low, high, *shape):
        return np.asarray(self.state.uniform(low, high, shape), np.float32)

    def away_from_zero(self, *shape):
        sign = np.where(self.state.uniform(size=shape) < 0.5, -1, 1)
        return np.asarray(self.state.uniform(0.25, 4, shape) * sign, np.float32)

    def distinct(self, *shape, low=-3.0):
        """No ties: a permutation of evenly spaced values."""
        count = int(np.prod(shape))
        return (low + self.state.permutation(count) * 2.0**-6).reshape(shape).astype(np.float32)


def single(x, **options):
    return {"x": x}, options


def column(*values):
    return np.array(values, np.float32)
