"""Selection by value and by index: top-k and HE2RNA's pooling, rows added up by index, sparse products."""

import numpy as np
import torch

from golden_ops.sampling import single


def take_along_rows(x, indices):
    return torch.gather(x, -1, torch.tensor(indices, dtype=torch.int64).reshape(*x.shape[:-1], -1))


def take_along_rows_cases(r):
    for shape, k in (([1, 1], 1), ([5, 13], 5), ([2, 3, 49], 7), ([3, 197], 197), ([7], 3)):
        rows = [r.state.permutation(shape[-1])[:k] for _ in range(int(np.prod(shape[:-1])))]
        yield single(r.normal(*shape), indices=np.concatenate(rows).tolist())


def top_k(x, k):
    return torch.topk(x, k, dim=-1).values


def top_k_cases(r):
    """No ties: PyTorch does not say which of them it takes."""
    for shape, k in (([1, 1], 1), ([5, 13], 13), ([2, 3, 49], 10), ([3, 197], 5), ([2, 613], 300), ([7], 0)):
        yield single(r.distinct(*shape, low=-5), k=k)


def he2rna_pool(x, ks, mask):
    """HE2RNA's forward_fixed_k (owkin/HE2RNA_code, model.py) averaged over ks; x [B, G, T], mask [B][T] or None."""
    mask = torch.ones(x.shape[0], x.shape[2]) if mask is None else torch.tensor(mask)
    mask = mask.to(x).unsqueeze(1)
    scores = x * mask
    pooled = 0
    for k in ks:
        top, _ = torch.topk(scores, k, dim=2, largest=True, sorted=True)
        pooled = pooled + torch.sum(top * mask[:, :, :k], dim=2) / torch.sum(mask[:, :, :k], dim=2)
    return pooled / len(ks)


def prefix(counts, n):
    return [[1 if t < count else 0 for t in range(n)] for count in counts]


def top_k_mean_cases(r):
    for shape, ks, mask in (
        ([1, 1, 1], [1], None),
        ([2, 3, 13], [1, 2, 5], None),
        ([3, 5, 49], [1, 2, 5, 10, 20, 49], prefix([49, 7, 1], 49)),
        ([2, 2, 301], [10, 100, 300], prefix([301, 50], 301)),
    ):
        yield single(r.normal(*shape), ks=ks, mask=mask)


def linear_top_k_mean(x, weight, bias, ks, mask):
    return he2rna_pool(torch.nn.functional.linear(x, weight, bias).transpose(1, 2), ks, mask)


def linear_top_k_mean_cases(r):
    for (bags, tokens, d, genes), ks, mask in (
        ((1, 1, 1, 1), [1], None),
        ((2, 49, 7, 13), [1, 2, 5, 10, 20, 49], None),
        ((3, 13, 5, 67), [3], prefix([13, 4, 1], 13)),
        ((2, 11, 3, 5), [1, 4, 11], [[1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]]),
    ):
        inputs = {"x": r.normal(bags, tokens, d), "weight": r.normal(genes, d, scale=d**-0.5), "bias": r.normal(genes)}
        yield inputs, {"ks": ks, "mask": mask}


def scatter_rows(x, rows, count):
    return torch.zeros(count, x.shape[1]).to(x).index_add(0, torch.tensor(rows, dtype=torch.int64), x)


def scatter_rows_cases(r):
    for shape, count, rows in (
        ([1, 1], 1, [0]),
        ([4, 3], 5, [4, 0, 0, 2]),
        ([70, 9], 33, r.state.randint(0, 33, 70).tolist()),
        ([301, 2], 3, [1] * 300 + [0]),
    ):
        yield single(r.normal(*shape), rows=rows, count=count)


def spmm(x, rows, columns, values, shape):
    values = torch.ones(len(rows)) if values is None else torch.tensor(values)
    dense = torch.zeros(shape).to(x)
    return dense.index_put((torch.tensor(rows), torch.tensor(columns)), values.to(x), accumulate=True) @ x


def spmm_cases(r):
    for (m, n), count, d, weighted in (((1, 1), 1, 1, True), ((7, 5), 13, 3, False), ((33, 49), 197, 5, True), ((3, 40), 700, 2, True)):
        rows = r.state.randint(0, m, count).tolist()
        columns = r.state.randint(0, n, count).tolist()
        values = [round(v, 3) for v in r.state.standard_normal(count)] if weighted else None
        values = values and [float(np.float32(v)) for v in values]
        yield single(r.normal(n, d), rows=rows, columns=columns, values=values, shape=[m, n])


GOLDENS = {
    "take-along-rows": (take_along_rows, take_along_rows_cases),
    "top-k": (top_k, top_k_cases),
    "top-k-mean": (he2rna_pool, top_k_mean_cases),
    "linear-top-k-mean": (linear_top_k_mean, linear_top_k_mean_cases),
    "scatter-rows": (scatter_rows, scatter_rows_cases),
    "spmm": (spmm, spmm_cases),
}
