"""Distances, k-means, NMF and PCA in float64 with numpy and scipy: unsupervised/*.json."""

import json
import os

import numpy as np
from scipy.spatial.distance import cdist


def grid(values, bits=10):
    """On a grid of 2^-bits: exact in float32, short in JSON."""
    return np.round(np.asarray(values) * 2**bits) / 2**bits


def flat(array):
    return np.asarray(array).ravel().tolist()


def distances(state):
    cases = []
    for n, m, d in ((1, 3, 1), (5, 4, 7), (9, 6, 33)):
        a, b = [grid(state.standard_normal((rows, d)) + 2) for rows in (n, m)]
        b[0] = a[0]
        for metric in ("euclidean", "sqeuclidean", "cosine"):
            found = np.maximum(cdist(a, b, metric), 0)
            cases.append({"shapes": [[n, d], [m, d]], "a": flat(a), "b": flat(b), "metric": metric, "distances": flat(found)})
    return cases


def lloyd(x, centroids, iterations):
    """Lloyd's algorithm from given centroids; an empty cluster takes the point farthest from its own."""
    labels = None
    for iteration in range(1, iterations + 1):
        squares = cdist(x, centroids, "sqeuclidean")
        found = squares.argmin(1)
        if labels is not None and (found == labels).all():
            break
        labels, nearest = found.copy(), squares.min(1)
        for cluster in range(len(centroids)):
            if not (labels == cluster).any():
                single = np.bincount(labels, minlength=len(centroids))[labels] == 1
                point = np.where(single, -1, nearest).argmax()
                labels[point], nearest[point] = cluster, 0
        centroids = np.stack([x[labels == cluster].mean(0) for cluster in range(len(centroids))])
    squares = cdist(x, centroids, "sqeuclidean")
    return centroids, squares.argmin(1), squares.min(1).sum(), iteration


def k_means(state):
    cases = []
    for n, d, k, spread in ((60, 3, 4, 0.3), (97, 5, 6, 1.5), (31, 2, 5, 1.0)):
        centres = 4 * state.standard_normal((k, d))
        x = grid(centres[state.randint(0, k, n)] + spread * state.standard_normal((n, d)))
        start = x[state.permutation(n)[:k]].copy()
        if n == 31:
            start[2] = start[2] + 1000  # far from everything: empty at first
        centroids, labels, inertia, iterations = lloyd(x, start, 100)
        cases.append({
            "shape": [n, d], "k": k, "x": flat(x), "start": flat(start), "centroids": flat(centroids),
            "labels": labels.tolist(), "inertia": float(inertia), "iterations": iterations,
        })
    return cases


def nmf(state):
    """Lee & Seung's updates in the order of scikit-learn: W, then H."""
    cases = []
    for n, m, rank, steps in ((7, 5, 2, 20), (23, 17, 4, 50)):
        v = grid(state.gamma(1.0, 1.0, (n, rank + 1)) @ state.gamma(1.0, 1.0, (rank + 1, m)), 8)
        v[1, 2] = 0
        w, h = grid(np.abs(state.standard_normal((n, rank))) + 0.01), grid(np.abs(state.standard_normal((rank, m))) + 0.01)
        start = {"w": flat(w), "h": flat(h)}
        errors = []
        for _ in range(steps):
            w = w * (v @ h.T) / (w @ h @ h.T)
            h = h * (w.T @ v) / (w.T @ w @ h)
            errors.append(float(np.linalg.norm(v - w @ h)))
        cases.append({
            "shape": [n, m], "rank": rank, "v": flat(v), "start": start, "iterations": steps,
            "w": flat(w), "h": flat(h), "errors": errors,
        })
    return cases


def pca(state):
    cases = []
    for n, d, k in ((9, 4, 2), (30, 12, 5), (8, 25, 7)):
        scales = 3.0 * 0.6 ** np.arange(d)
        x = grid(state.standard_normal((n, d)) * scales + state.standard_normal(d) * 3)
        mean = x.mean(0)
        _, singular, axes = np.linalg.svd(x - mean, full_matrices=False)
        largest = axes[np.arange(len(axes)), np.abs(axes).argmax(1)]
        axes = (axes * np.sign(largest)[:, None])[:k]
        variance = singular**2 / (n - 1)
        cases.append({
            "shape": [n, d], "k": k, "x": flat(x), "mean": flat(mean), "components": flat(axes),
            "singularValues": flat(singular[:k]), "explainedVariance": flat(variance[:k]),
            "explainedVarianceRatio": flat(variance[:k] / variance.sum()), "transformed": flat((x - mean) @ axes.T),
        })
    return cases


def write(folder):
    os.makedirs(folder, exist_ok=True)
    for name, make in {"distances": distances, "k-means": k_means, "nmf": nmf, "pca": pca}.items():
        with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(make(np.random.RandomState(len(name))), file, separators=(",", ":"))
            file.write("\n")
