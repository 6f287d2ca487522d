"""The sample inputs of every op: `CASES[op](random)` yields (inputs, options), the inputs in the op's order."""

import numpy as np

from golden_ops.sampling import Random, column, single


def matmul(r):
    for transpose_a in (False, True):
        for transpose_b in (False, True):
            options = {"transposeA": transpose_a, "transposeB": transpose_b}
            for batch, m, k, n in (([], 7, 13, 5), ([], 33, 35, 9), ([3], 5, 7, 9)):
                a = r.normal(*batch, *((k, m) if transpose_a else (m, k)))
                b = r.normal(*batch, *((n, k) if transpose_b else (k, n)))
                yield {"a": a, "b": b}, options
    plain = {"transposeA": False, "transposeB": False}
    for batch, m, k, n in (([], 1, 1, 1), ([], 1, 64, 1), ([], 32, 1, 32), ([], 49, 197, 5), ([2], 1, 33, 31)):
        yield {"a": r.normal(*batch, m, k), "b": r.normal(*batch, k, n)}, plain


def linear(r):
    for lead, inner, outer, biases in (
        ([1], 1, 1, [True, False]),
        ([7], 13, 5, [True, False]),
        ([33], 65, 5, [True]),
        ([2, 3], 8, 4, [True, False]),
        ([3, 11], 37, 19, [False]),
    ):
        for bias in biases:
            inputs = {"x": r.normal(*lead, inner), "weight": r.normal(outer, inner, scale=inner**-0.5)}
            if bias:
                inputs["bias"] = r.normal(outer)
            yield inputs, {}


SAME = (([1], [1]), ([7, 13], [7, 13]), ([19, 23], [19, 23]))
BROADCAST = (
    ([3, 5], [5]),
    ([5], [3, 5]),
    ([3, 1], [1, 5]),
    ([7, 13], [1]),
    ([1], [7, 13]),
    ([2, 3, 4], [3, 1]),
    ([2, 3, 4], [2, 1, 4]),
    ([33, 9], [33, 1]),
    ([67, 9], [9]),
)


def binary(second):
    def cases(r):
        for a, b in SAME + BROADCAST:
            yield {"a": r.normal(*a), "b": second(r, *b)}, {}

    return cases


def unary(draw, *extremes, option_sets=({},)):
    """Plain shapes drawn by `draw`, then the extreme values as one vector."""

    def cases(r):
        for options in option_sets:
            for shape in ([1], [7, 13], [2, 3, 5], [19, 23]):
                yield single(draw(r, *shape), **options)
        if extremes:
            yield single(column(*extremes), **option_sets[0])

    return cases


def normal(r, *shape):
    return r.normal(*shape, scale=2)


def reduce(r, draw):
    for shape, axes in (
        ([1], [None, 0]),
        ([7, 13], [None, 0, 1]),
        ([9, 65], [0, 1]),
        ([1, 1027], [None, 0, 1]),
        ([300, 3], [0, 1]),
        ([3, 5, 7], [None, 0, 1, 2]),
    ):
        for axis in axes:
            yield single(draw(*shape), axis=axis, keepDims=False)
    for axis in (None, 0, 1, 2):
        yield single(draw(2, 3, 5), axis=axis, keepDims=True)


def maximum(r):
    yield from reduce(r, r.distinct)
    for axis in (None, 0, 1):  # all below zero
        yield single(r.distinct(5, 7, low=-100), axis=axis, keepDims=False)


def softmax(r):
    for shape in ([1, 1], [5, 1], [7, 13], [17, 65], [2, 3, 5], [1, 1027]):
        yield single(r.normal(*shape, scale=3))
    yield single(column([80, -80, 0, 79], [-80, -80, -80, -80], [80, 80, 80, 80], [-80, -79, -78, 80]))
    for shape, axis in (([7, 13], 0), ([2, 67, 5], 1), ([2, 3, 5, 7], -3), ([3, 1, 4], 1)):
        yield single(r.normal(*shape, scale=3), axis=axis)
    yield single(column([80, -80, 79, 0], [-80, -80, 80, 1]).T.copy(), axis=0)


OFFSETS = (
    [0, 1],
    [0, 3, 4, 9],
    [0, 5, 5, 6, 13],  # an empty segment within
    [0, 0, 7, 20, 20],  # empty segments at both ends
    [0, 257, 258, 271, 336],  # longer than a workgroup
)


def segment(r, widths, second=None):
    for offsets in OFFSETS:
        for width in widths:
            inputs = {"x": r.normal(offsets[-1], width, scale=2)}
            if second:
                inputs[second] = r.between(-1, 1, offsets[-1], 1)
            yield inputs, {"offsets": offsets}


def segment_softmax(r):
    yield from segment(r, (1, 3))
    yield single(r.normal(20, 13), offsets=[0, 7, 9, 20])
    extreme = column([80, -80], [-80, -80], [79, -80], [-80, 80], [-80, -80], [80, 0])
    yield single(extreme, offsets=[0, 3, 5, 6])


def layer_norm(r):
    def affine(x, eps):
        d = x.shape[-1]
        return {"x": x, "weight": r.normal(d, scale=0.5, shift=1), "bias": r.normal(d)}, {"eps": eps}

    for shape in ([3, 1], [7, 13], [17, 65], [2, 3, 8], [2, 515]):
        yield affine(r.normal(*shape, scale=2, shift=0.5), 1e-5)
    yield affine(r.normal(5, 16), 1e-3)
    # Nearly constant rows: a variance computed as E[x^2] - E[x]^2 in float32 is visibly wrong here.
    yield affine(r.normal(4, 37, scale=1e-3, shift=1), 1e-5)
    yield affine(np.full([2, 13], 3, np.float32), 1e-5)


def dropout(r):
    for shape, p, seed, offset in (
        ([1], 0.5, [1, 0], 0),
        ([7, 13], 0.0, [1, 0], 0),
        ([7, 13], 0.1, [0xDEADBEEF, 0x12345678], 3),
        ([33, 65], 0.25, [42, 0], 1),
        ([2, 3, 5], 0.5, [42, 7], 0xFFFFFFFF),
        ([31], 0.9, [0xFFFFFFFF, 0xFFFFFFFF], 12345),
    ):
        yield single(r.away_from_zero(*shape), p=p, seed=seed, offset=offset)


def gather_rows(r):
    for shape, rows in (
        ([1, 1], [0]),
        ([5, 3], [4, 0, 0, 2]),
        ([7, 13], [6, 6, 6, 1, 0, 3, 6, 5]),
        ([33, 9], r.state.randint(0, 33, 70).tolist()),
    ):
        yield single(r.normal(*shape), rows=rows)


def concat(r):
    for shapes, axis in (
        (([1], [1]), 0),
        (([3, 5], [4, 5]), 0),
        (([3, 5], [3, 2]), 1),
        (([7, 13], [1, 13], [9, 13]), 0),
        (([7, 13], [7, 1], [7, 33]), 1),
        (([2, 3, 5], [2, 4, 5], [2, 1, 5]), 1),
        (([2, 3, 5], [2, 3, 3]), 2),
    ):
        yield {name: r.normal(*shape) for name, shape in zip("abc", shapes)}, {"axis": axis}


def slices(r):
    for shape, axis, start, end in (
        ([1], 0, 0, 1),
        ([13], 0, 3, 11),
        ([7, 13], 0, 2, 5),
        ([7, 13], 1, 4, 13),
        ([33, 65], 1, 1, 34),
        ([3, 5, 7], 1, 1, 2),
        ([3, 5, 7], 2, 0, 4),
    ):
        yield single(r.normal(*shape), axis=axis, start=start, end=end)


def permute(r):
    for shape, dims in (
        ([1, 1], [1, 0]),
        ([7, 13], [1, 0]),
        ([17, 33], [1, 0]),
        ([2, 3, 5], [0, 1, 2]),
        ([2, 3, 5], [0, 2, 1]),
        ([2, 3, 5], [1, 0, 2]),
        ([2, 3, 5], [2, 0, 1]),
        ([2, 3, 4, 5], [0, 2, 1, 3]),
        ([2, 3, 2, 2, 3, 4], [0, 1, 3, 2, 4, 5]),
        ([2, 3, 2, 3, 2], [4, 1, 3, 0, 2]),
        ([2, 3, 1, 2, 3, 2, 2], [6, 2, 4, 1, 5, 0, 3]),
    ):
        yield single(r.normal(*shape), dims=dims)


def reshape(r):
    for shape, to in (([1], [1, 1]), ([6], [2, 3]), ([7, 13], [91]), ([2, 3, 5], [6, 5]), ([4, 6], [3, 2, 4])):
        yield single(r.normal(*shape), shape=to)


def l2_normalise(r):
    for shape in ([1, 1], [7, 13], [33, 65], [2, 3, 5]):
        yield single(r.normal(*shape, scale=2), eps=1e-12)
    yield single(r.normal(4, 13, scale=1e-6), eps=1e-12)  # small, still normalised
    yield single(r.normal(3, 5, scale=1e-14), eps=1e-12)  # below eps: divided by eps
    yield single(np.zeros([2, 5], np.float32), eps=1e-12)


def cross_entropy(r):
    for n, c in ((1, 1), (1, 7), (7, 13), (9, 65)):
        yield {"logits": r.normal(n, c, scale=3)}, {"labels": r.state.randint(0, c, n).tolist()}
    yield {"logits": column([80, -80, 0], [80, -80, 0], [-80, -80, -80])}, {"labels": [0, 1, 2]}


def mse(r):
    for shape in ([1], [7, 13], [17, 33], [2, 3, 5]):
        yield {"prediction": r.normal(*shape), "target": r.normal(*shape)}, {}


def info_nce(r):
    for (batch, d), temperature in (((1, 5), 0.1), ((2, 3), 0.1), ((7, 13), 0.07), ((33, 17), 0.1), ((8, 16), 1.0)):
        yield {"a": r.normal(batch, d), "b": r.normal(batch, d)}, {"temperature": temperature}


TAILS = (10, -10, 5, -5, 1e-3, -1e-3, 0)

CASES = {
    "matmul": matmul,
    "linear": linear,
    "add": binary(Random.normal),
    "sub": binary(Random.normal),
    "mul": binary(Random.normal),
    "div": binary(Random.away_from_zero),
    "relu": unary(normal, -80, 80, -1e-6, 1e-6),
    "gelu": unary(normal, *TAILS),
    "tanh": unary(normal, *TAILS, 80, -80),
    "sigmoid": unary(normal, *TAILS, 80, -80),
    "exp": unary(normal, -80, 80, 0, 1e-6),
    "log": unary(lambda r, *shape: r.between(0.05, 8, *shape), 1e-30, 1e30, 1, 1.0001),
    "sqrt": unary(lambda r, *shape: r.between(0.05, 8, *shape), 1e-12, 1e12, 1),
    "square": unary(normal, 1e6, -1e6, 1e-6, 0),
    "neg": unary(normal),
    "affine": unary(normal, option_sets=({"scale": -1.25, "shift": 0.5}, {"scale": 3.0, "shift": 0.0})),
    "sum": lambda r: reduce(r, r.normal),
    "mean": lambda r: reduce(r, r.normal),
    "max": maximum,
    "softmax": softmax,
    "log-softmax": softmax,
    "segment-softmax": segment_softmax,
    "segment-log-softmax": segment_softmax,
    "segment-sum": lambda r: segment(r, (1, 7)),
    "segment-mean": lambda r: segment(r, (1, 7)),
    "segment-weighted-sum": lambda r: segment(r, (1, 7), second="weights"),
    "layer-norm": layer_norm,
    "dropout": dropout,
    "gather-rows": gather_rows,
    "concat": concat,
    "slice": slices,
    "permute": permute,
    "reshape": reshape,
    "l2-normalize": l2_normalise,
    "cross-entropy": cross_entropy,
    "mse": mse,
    "info-nce": info_nce,
}
