"""Losses beyond those of the first models."""

import numpy as np
import torch
import torch.nn.functional as F

REDUCTIONS = ("mean", "sum", "none")


def paired(r, *draws):
    """Predictions and targets for every reduction, `draws` being (the target's values, further options)."""
    for target, options in draws:
        for shape in ([1], [7, 13], [2, 3, 5]):
            for reduction in REDUCTIONS:
                yield {"prediction": r.normal(*shape, scale=3), "target": target(*shape)}, {"reduction": reduction, **options}


def l1_cases(r):
    yield from paired(r, (r.normal, {}))


def smooth_l1_cases(r):
    yield from paired(r, (r.normal, {"beta": 1}), (r.normal, {"beta": 0.25}))


def bce_cases(r):
    zero_one = lambda *shape: r.between(0, 1, *shape)
    yield from paired(r, (zero_one, {"posWeight": 1}), (zero_one, {"posWeight": 2.5}))
    extreme = np.array([80, -80, 80, -80, 0], np.float32)
    yield {"prediction": extreme, "target": np.array([1, 0, 0, 1, 1], np.float32)}, {"reduction": "none", "posWeight": 1}


def bce(prediction, target, reduction, posWeight):
    weight = torch.tensor(float(posWeight), dtype=torch.float64)
    return F.binary_cross_entropy_with_logits(prediction, target, reduction=reduction, pos_weight=weight)


def soft_cross_entropy(logits, targets, reduction="mean", labelSmoothing=0.0):
    return F.cross_entropy(logits, targets, reduction=reduction, label_smoothing=labelSmoothing)


def soft_cross_entropy_cases(r):
    for n, c in ((1, 1), (7, 13), (9, 65)):
        for options in ({}, {"reduction": "sum"}, {"reduction": "none", "labelSmoothing": 0.1}):
            yield {"logits": r.normal(n, c, scale=3), "targets": r.between(0, 1, n, c)}, options


def soft_clip(images, spots, temperature):
    logits = spots @ images.T / temperature
    targets = F.softmax((images @ images.T + spots @ spots.T) / 2 / temperature, dim=-1)
    rows = (-targets * F.log_softmax(logits, -1)).sum(1)
    columns = (-targets.T * F.log_softmax(logits.T, -1)).sum(1)
    return ((rows + columns) / 2).mean()


def soft_clip_cases(r):
    for (n, d), temperature in (((1, 5), 1.0), ((2, 3), 0.5), ((7, 13), 1.0), ((33, 17), 4.0)):
        yield {"images": r.normal(n, d), "spots": r.normal(n, d)}, {"temperature": temperature}


def pearson_columns(prediction, target, eps=1e-8):
    x, y = prediction - prediction.mean(0), target - target.mean(0)
    return (x * y).sum(0) / (x.norm(dim=0) * y.norm(dim=0) + eps)


def pearson_cases(r, options):
    for shape in ([2, 1], [7, 13], [33, 5], [49, 197]):
        x = r.normal(*shape)
        yield {"prediction": x, "target": np.float32(0.5) * x + r.normal(*shape)}, options
    # Far from zero: a one-pass variance is visibly wrong here.
    yield {"prediction": r.normal(13, 3, shift=100), "target": r.normal(13, 3, shift=-100)}, options


def zinb(mean, dispersion, dropout, counts, shape, ridgeLambda, eps):
    """scDCC's and Hist2ST's ZINBLoss, word for word."""
    x = torch.tensor(counts, dtype=torch.float64).reshape(shape)
    t1 = torch.lgamma(dispersion + eps) + torch.lgamma(x + 1.0) - torch.lgamma(x + dispersion + eps)
    t2 = (dispersion + x) * torch.log(1.0 + mean / (dispersion + eps)) + x * (
        torch.log(dispersion + eps) - torch.log(mean + eps)
    )
    nb_case = t1 + t2 - torch.log(1.0 - dropout + eps)
    zero_nb = torch.pow(dispersion / (dispersion + mean + eps), dispersion)
    zero_case = -torch.log(dropout + (1.0 - dropout) * zero_nb + eps)
    result = torch.where(x <= 1e-8, zero_case, nb_case)
    return (result + ridgeLambda * torch.square(dropout)).mean()


def zinb_cases(r):
    def case(shape, counts, mean, dispersion, ridge=0.0):
        size = int(np.prod(shape))
        inputs = {"mean": mean, "dispersion": dispersion, "dropout": r.between(0.02, 0.95, *shape)}
        counts = np.resize(np.asarray(counts), size).tolist()
        return inputs, {"counts": counts, "shape": shape, "ridgeLambda": ridge, "eps": 1e-10}

    for shape in ([1], [7, 13], [3, 5, 2], [19, 67]):
        counts = r.state.poisson(2, int(np.prod(shape)))
        yield case(shape, counts, r.between(0.1, 8, *shape), r.between(0.1, 12, *shape), 0.1 if len(shape) == 2 else 0.0)
    # Counts of thousands, dispersions from 1e-4 to 1e4: the lgammas are far larger than the result.
    spread = np.exp(r.between(np.log(1e-4), np.log(1e4), 7, 13))
    yield case([7, 13], r.state.poisson(3000, 91), r.between(1000, 5000, 7, 13), spread)
    yield case([7, 13], r.state.poisson(1, 91), r.between(0.1, 3, 7, 13), np.full([7, 13], 1e4, np.float32))
    yield case([7, 13], [0], r.between(1e-5, 3, 7, 13), spread)


def softplus(x):
    return F.softplus(x, threshold=80)


def unit(x):
    return x / (torch.sqrt((x**2).sum(1, keepdim=True)) + 1e-10)


def feature_distance(a1, b1, a2, b2, w1, w2, reduction="mean"):
    total = sum(
        (w * (unit(a) - unit(b)) ** 2).sum(1).mean((1, 2)) for a, b, w in ((a1, b1, w1), (a2, b2, w2))
    )
    return total.mean() if reduction == "mean" else total


def feature_distance_cases(r):
    for n, reduction in ((1, "mean"), (3, "mean"), (2, "none")):
        shapes = ([n, 13, 5, 7], [n, 13, 5, 7], [n, 5, 3, 3], [n, 5, 3, 3])
        inputs = {name: r.normal(*shape) for name, shape in zip(("a1", "b1", "a2", "b2"), shapes)}
        weights = {"w1": r.between(0, 1, 1, 13, 1, 1), "w2": r.between(0, 1, 1, 5, 1, 1)}
        yield {**inputs, **weights}, {"reduction": reduction}


def logits(r, *names):
    for shape in ([1], [4, 1], [7, 13]):
        yield {name: r.normal(*shape, scale=3) for name in names}, {}
    yield {name: np.array([79, -79, 0], np.float32) for name in names}, {}


GOLDENS = {
    "l1": (F.l1_loss, l1_cases),
    "smooth-l1": (F.smooth_l1_loss, smooth_l1_cases),
    "bce-with-logits": (bce, bce_cases),
    "soft-cross-entropy": (soft_cross_entropy, soft_cross_entropy_cases),
    "soft-clip": (soft_clip, soft_clip_cases),
    "pearson-columns": (pearson_columns, lambda r: pearson_cases(r, {"eps": 1e-8})),
    "pearson-loss": (lambda *pair: 1 - pearson_columns(*pair).mean(), lambda r: pearson_cases(r, {})),
    "zinb": (zinb, zinb_cases),
    "gan-generator": (lambda fake: softplus(-fake).mean(), lambda r: logits(r, "fake")),
    "gan-discriminator": (
        lambda real, fake: softplus(fake).mean() + softplus(-real).mean(),
        lambda r: logits(r, "real", "fake"),
    ),
    "feature-distance": (feature_distance, feature_distance_cases),
}
