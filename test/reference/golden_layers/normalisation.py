"""Batch normalisation with its running statistics, and PixelNorm."""

import torch

from golden_layers.case import Case


def batch_norm(make, shapes, twice):
    def sample(r, shape, training, **options):
        layer = make(shape[1], **options)
        for tensor in layer.state_dict().values():
            if tensor.dim() > 0:
                tensor.copy_(torch.from_numpy(r.between(0.5, 2, *tensor.shape)))
        return layer, {"x": r.normal(*shape, scale=2, shift=0.5)}, {"features": shape[1], **options}

    def cases(r):
        for shape in shapes:
            for training in (True, False):
                layer, inputs, options = sample(r, shape, training)
                yield Case(layer, inputs, options, training)
        layer, inputs, options = sample(r, shapes[-1], True, eps=1e-3, momentum=0.3, affine=False)
        yield Case(layer, inputs, options)
        # Two calls: the second moves the running statistics from where the first left them.
        layer, inputs, options = sample(r, twice, True)
        inputs["second"] = r.normal(*twice, shift=-1)
        yield Case(layer, inputs, options, call=lambda layer, x, second: layer(x) + layer(second))

    return cases


class PixelNorm(torch.nn.Module):
    def forward(self, x):
        return x * torch.rsqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


def pixel_norm(r):
    for shape in ([3, 13], [2, 5, 4, 4]):
        yield Case(PixelNorm(), {"x": r.normal(*shape)})


GOLDENS = {
    "BatchNorm1d": batch_norm(torch.nn.BatchNorm1d, ([2, 3], [5, 64], [3, 4, 7]), [4, 3]),
    "BatchNorm2d": batch_norm(torch.nn.BatchNorm2d, ([3, 1, 5, 7], [2, 13, 4, 4]), [2, 3, 3, 3]),
    "PixelNorm": pixel_norm,
}
