"""What each op computes, in PyTorch. Arguments: the inputs, then the op's options under their JavaScript names."""

import numpy as np
import torch
import torch.nn.functional as F

import philox


def transpose(x, wanted):
    return x.transpose(-1, -2) if wanted else x


def matmul(a, b, transposeA, transposeB):
    return transpose(a, transposeA) @ transpose(b, transposeB)


def reduce_with(function):
    def reduce(x, axis, keepDims):
        if axis is None:
            value = function(x.reshape(-1), 0, False)
            return value.reshape([1] * x.dim()) if keepDims else value
        return function(x, axis, keepDims)

    return reduce


def segments(x, offsets):
    return [x[start:end] for start, end in zip(offsets[:-1], offsets[1:])]


def segment_sum(x, offsets):
    return torch.stack([rows.sum(0) for rows in segments(x, offsets)])


def segment_mean(x, offsets):
    return torch.stack([rows.sum(0) / max(len(rows), 1) for rows in segments(x, offsets)])


def dropout(x, p, seed, offset):
    u = philox.uniform(x.numel(), seed, offset)
    keep = torch.from_numpy((u >= np.float64(np.float32(p))).astype(np.float64)).reshape(x.shape)
    return x * keep / (1.0 - p)


def slice_axis(x, axis, start, end):
    return x.narrow(axis, start, end - start)


def info_nce(a, b, temperature):
    logits = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / temperature
    labels = torch.arange(len(a))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


OPS = {
    "matmul": matmul,
    "linear": lambda x, weight, bias=None: F.linear(x, weight, bias),
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "relu": F.relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "neg": torch.neg,
    "affine": lambda x, scale, shift: x * scale + shift,
    "sum": reduce_with(torch.sum),
    "mean": reduce_with(torch.mean),
    "max": reduce_with(torch.amax),
    "softmax": lambda x, axis=-1: F.softmax(x, axis),
    "log-softmax": lambda x, axis=-1: F.log_softmax(x, axis),
    "segment-softmax": lambda x, offsets: torch.cat([F.softmax(rows, 0) for rows in segments(x, offsets)]),
    "segment-log-softmax": lambda x, offsets: torch.cat([F.log_softmax(rows, 0) for rows in segments(x, offsets)]),
    "segment-sum": segment_sum,
    "segment-mean": segment_mean,
    "segment-weighted-sum": lambda x, weights, offsets: segment_sum(x * weights, offsets),
    "layer-norm": lambda x, weight, bias, eps: F.layer_norm(x, x.shape[-1:], weight, bias, eps),
    "dropout": dropout,
    "gather-rows": lambda x, rows: x[rows],
    "concat": lambda *inputs, axis: torch.cat(inputs, axis),
    "slice": slice_axis,
    "permute": lambda x, dims: x.permute(dims),
    "reshape": lambda x, shape: x.reshape(shape),
    "l2-normalize": lambda x, eps: F.normalize(x, dim=-1, eps=eps),
    "cross-entropy": lambda logits, labels: F.cross_entropy(logits, torch.tensor(labels)),
    "mse": F.mse_loss,
    "info-nce": info_nce,
}
