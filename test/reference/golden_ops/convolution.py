"""Convolutions: conv2d, its transpose, and the modulated convolution of StyleGAN2."""

import torch
import torch.nn.functional as F


def conv2d(x, weight, bias=None, *, stride, padding, dilation, groups):
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(x, weight, bias=None, *, stride, padding, outputPadding, dilation, groups):
    return F.conv_transpose2d(x, weight, bias, stride, padding, outputPadding, groups, dilation)


def modulated_conv2d(x, weight, style, demodulate, up):
    """As in StyleGAN2: one weight per sample, a group for each."""
    n, c, height, width = x.shape
    o, _, k, _ = weight.shape
    own = weight[None] * style[:, None, :, None, None]
    if demodulate:
        own = own * torch.rsqrt(own.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    x = x.reshape(1, n * c, height, width)
    if up:
        own = own.transpose(1, 2).reshape(n * c, o, k, k)
        y = F.conv_transpose2d(x, own, stride=2, groups=n)
    else:
        y = F.conv2d(x, own.reshape(n * o, c, k, k), padding=k // 2, groups=n)
    return y.reshape(n, o, *y.shape[2:])


def drawn(r, x, weight, channels, bias, options):
    inputs = {"x": r.normal(*x), "weight": r.normal(*weight)}
    if bias:
        inputs["bias"] = r.normal(channels)
    return inputs, options


def conv2d_cases(r):
    def case(x, weight, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, bias=True):
        padding = padding if padding == "same" else list(padding)
        options = {"stride": list(stride), "padding": padding, "dilation": list(dilation), "groups": groups}
        return drawn(r, x, weight, weight[0], bias, options)

    yield case([1, 1, 1, 1], [1, 1, 1, 1])
    yield case([2, 13, 7, 5], [9, 13, 1, 1])
    yield case([1, 5, 7, 7], [6, 5, 1, 1], stride=(2, 2), bias=False)
    yield case([2, 5, 13, 7], [17, 5, 3, 3], padding=(1, 1))
    yield case([1, 5, 13, 8], [9, 5, 3, 3], (2, 2), (1, 1), bias=False)
    yield case([2, 3, 17, 19], [10, 3, 7, 7], (2, 2), (3, 3))
    yield case([1, 2, 23, 27], [9, 2, 11, 11], (4, 4), (2, 2))
    yield case([2, 2, 16, 32], [3, 2, 16, 16], (16, 16))
    yield case([1, 1, 32, 33], [2, 1, 32, 32], (32, 32))
    yield case([1, 4, 11, 13], [9, 4, 5, 3], padding=(4, 2), dilation=(2, 2))
    yield case([1, 2, 13, 11], [9, 2, 3, 3], (2, 2), (2, 2), (2, 2))
    yield case([2, 6, 7, 5], [24, 3, 3, 3], (1, 1), (1, 1), (1, 1), 2)
    yield case([2, 7, 9, 11], [7, 1, 3, 3], (1, 1), (1, 1), (1, 1), 7)
    yield case([1, 3, 9, 11], [6, 1, 5, 5], (2, 2), (2, 2), (1, 1), 3, bias=False)
    yield case([1, 2, 9, 13], [2, 1, 7, 7], (1, 1), (3, 3), (1, 1), 2)
    yield case([1, 2, 5, 6], [9, 2, 2, 4], padding="same")
    yield case([1, 2, 11, 9], [9, 2, 2, 2], (4, 4))


def conv_transpose2d_cases(r):
    def case(x, weight, stride=(1, 1), padding=(0, 0), extra=(0, 0), dilation=(1, 1), groups=1, bias=True):
        options = {"stride": list(stride), "padding": list(padding), "outputPadding": list(extra)}
        options |= {"dilation": list(dilation), "groups": groups}
        return drawn(r, x, weight, weight[1] * groups, bias, options)

    yield case([1, 1, 1, 1], [1, 1, 1, 1])
    yield case([2, 5, 7, 5], [5, 9, 3, 3], (2, 2))
    yield case([1, 9, 5, 7], [9, 10, 4, 4], (2, 2), (1, 1), bias=False)
    yield case([1, 5, 5, 7], [5, 9, 3, 3], (2, 2), (1, 1), (1, 1))
    yield case([1, 2, 3, 5], [2, 2, 16, 16], (2, 2), (7, 7))
    yield case([2, 3, 5, 4], [3, 9, 3, 2], padding=(1, 0), dilation=(2, 1))
    yield case([1, 4, 5, 3], [4, 9, 2, 3], (2, 3), (0, 1), (1, 0), groups=2)
    yield case([2, 3, 4, 5], [3, 2, 4, 4], (2, 2), (1, 1), groups=3)


def modulated_conv2d_cases(r):
    for n, c, o, k, size, demodulate, up in (
        (1, 1, 1, 1, [1, 1], True, False),
        (2, 5, 9, 3, [7, 5], True, False),
        (3, 4, 3, 1, [5, 7], False, False),
        (2, 5, 10, 3, [5, 3], True, True),
    ):
        inputs = {"x": r.normal(n, c, *size), "weight": r.normal(o, c, k, k), "style": r.normal(n, c, shift=1)}
        yield inputs, {"demodulate": demodulate, "up": up}


GOLDENS = {
    "conv2d": (conv2d, conv2d_cases),
    "conv-transpose2d": (conv_transpose2d, conv_transpose2d_cases),
    "modulated-conv2d": (modulated_conv2d, modulated_conv2d_cases),
}
