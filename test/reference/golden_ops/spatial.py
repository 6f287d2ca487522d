"""Operations that move elements in space or resample images."""

import torch
import torch.nn.functional as F

from golden_ops.sampling import single


def expand(r):
    for shape, to in (
        ([1], [1]),
        ([5], [7, 5]),
        ([7, 1], [7, 13]),
        ([2, 1, 3, 1], [2, 5, 3, 4]),
        ([3, 1], [2, 1, -1, 5]),
        ([], [3, 2]),
        ([1, 1, 7], [11, 3, 7]),
    ):
        yield single(r.normal(*shape), shape=to)


def pad(r):
    for shape, padding in (
        ([1], [0, 0]),
        ([7], [2, 3]),
        ([7], [-2, 3]),
        ([5, 7], [1, 0, 0, 2]),
        ([2, 3, 5, 7], [1, 2, 3, 0]),
        ([2, 3, 5, 7], [-1, 2, 3, -2]),
        ([2, 7, 7, 3], [0, 0, 0, 5, 2, 0]),
        ([5, 7], [-3, -4]),
    ):
        for value in (0.0, -1.5):
            yield single(r.normal(*shape), padding=padding, mode="constant", value=value)
    for mode in ("reflect", "replicate"):
        for shape, padding in (
            ([1, 2, 5], [4, 3]),
            ([2, 3, 4, 5], [2, 4, 3, 1]),
            ([2, 3, 4, 8], [0, 0, 1, 2]),
            ([1, 1, 13, 17], [3, 3, 3, 3]),
        ):
            yield single(r.normal(*shape), padding=padding, mode=mode)
    yield single(r.normal(1, 2, 1, 3), padding=[5, 7, 2, 1], mode="replicate")


def roll(r):
    for shape, shifts, axes in (
        ([1], [3], [0]),
        ([13], [5], [0]),
        ([7, 13], [-3], [1]),
        ([2, 7, 14, 4], [-3, -3], [1, 2]),
        ([2, 7, 14, 4], [3, 17], [1, 2]),
        ([3, 5, 2], [1, -1, 1], [0, 1, -1]),
        ([5, 3], [2, 2], [0, 0]),
    ):
        yield single(r.normal(*shape), shifts=shifts, axes=axes)


# As in Swin's repository (swin_transformer.py).
def window_partition(x, size):
    b, h, w, c = x.shape
    x = x.view(b, h // size, size, w // size, size, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size, c)


def window_reverse(windows, size, height, width):
    b = windows.shape[0] * size * size // (height * width)
    x = windows.view(b, height // size, width // size, size, size, -1)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, height, width, -1)


MAPS = (([1, 1, 1, 1], 1), ([2, 7, 7, 3], 7), ([2, 6, 9, 4], 3), ([1, 14, 7, 5], 7), ([3, 4, 2, 1], 2))


def windows_of_maps(r):
    for shape, size in MAPS:
        yield single(r.normal(*shape), size=size)


def maps_of_windows(r):
    for (b, h, w, c), size in MAPS:
        windows = r.normal(b * h * w // size**2, size**2, c)
        yield {"windows": windows}, {"size": size, "height": h, "width": w}


def pixel_shift(x, shifts, channelsLast):
    if channelsLast:
        return pixel_shift(x.permute(0, 3, 1, 2), shifts, False).permute(0, 2, 3, 1)
    h, w = x.shape[2:]
    reach = max(abs(s) for pair in shifts for s in pair)
    padded = F.pad(x, [reach] * 4)
    moved = [
        padded[:, c, reach + dy : reach + dy + h, reach + dx : reach + dx + w] for c, (dy, dx) in enumerate(shifts)
    ]
    return torch.stack(moved, 1)


def shifted(r):
    cycle = [[0, (c + 1) % 3 - 1] for c in range(7)]
    for channels_last in (False, True):
        for n, h, w, shifts in (
            (1, 1, 1, [[0, 0]]),
            (2, 5, 7, cycle),
            (2, 7, 5, [[dx, dy] for dy, dx in cycle]),
            (1, 3, 4, [[5, 0], [-2, 1], [1, -3], [0, 9], [-1, -1]]),
        ):
            c = len(shifts)
            shape = (n, h, w, c) if channels_last else (n, c, h, w)
            yield single(r.normal(*shape), shifts=shifts, channelsLast=channels_last)


def resize(x, size=None, scaleFactor=None, mode="nearest", alignCorners=False):
    corners = None if mode == "nearest" else alignCorners
    return F.interpolate(x, size, scaleFactor, mode, corners)


def resized(r):
    for mode, align_corners in (
        ("nearest", False),
        ("bilinear", False),
        ("bilinear", True),
        ("bicubic", False),
        ("bicubic", True),
    ):
        options = {"mode": mode, "alignCorners": align_corners}
        for shape, size in (
            ([1, 1, 1, 1], [1, 1]),
            ([1, 2, 1, 3], [4, 1]),
            ([1, 2, 5, 7], [5, 7]),
            ([2, 3, 5, 7], [13, 4]),
            ([1, 2, 7, 7], [3, 5]),
            ([1, 3, 14, 14], [16, 16]),
            ([1, 1, 17, 8], [3, 12]),
        ):
            yield single(r.normal(*shape), size=size, **options)
        for shape, factor in (([2, 2, 3, 4], 2), ([1, 2, 7, 9], [0.5, 1.4]), ([1, 1, 7, 7], 0.3), ([1, 1, 3, 8], 1.7)):
            yield single(r.normal(*shape), scaleFactor=factor, **options)


def upfirdn2d(x, kernel, up=1, down=1, padding=(0, 0, 0, 0)):
    """upfirdn2d_native of StyleGAN2's PyTorch ports."""
    x0, x1, y0, y1 = padding
    taps = torch.tensor(kernel, dtype=x.dtype)
    n, c, h, w = x.shape
    out = F.pad(x.reshape(n * c, h, 1, w, 1), [0, up - 1, 0, 0, 0, up - 1]).reshape(n * c, 1, h * up, w * up)
    out = F.pad(out, [x0, x1, y0, y1])
    out = F.conv2d(out, torch.flip(taps, [0, 1])[None, None])[:, :, ::down, ::down]
    return out.reshape(n, c, *out.shape[2:])


def filtered(r):
    blur = [[a * b / 64 for a in (1, 3, 3, 1)] for b in (1, 3, 3, 1)]
    uneven = [[0.5, -1.0, 0.25], [2.0, 0.75, -0.5]]
    tall = [[1.0], [-2.0], [0.5], [0.25], [3.0]]
    for shape, kernel, up, down, padding in (
        ([1, 1, 1, 1], [[2.0]], 1, 1, [0, 0, 0, 0]),
        ([2, 3, 8, 8], blur, 1, 1, [2, 1, 2, 1]),
        ([2, 3, 5, 7], blur, 1, 1, [1, 1, 1, 1]),
        ([1, 2, 4, 4], blur, 2, 1, [2, 1, 2, 1]),
        ([1, 2, 8, 8], blur, 1, 2, [1, 1, 1, 1]),
        ([2, 2, 5, 7], uneven, 2, 3, [3, -1, 0, 2]),
        ([1, 2, 7, 5], uneven, 3, 2, [-2, 4, -1, -3]),
        ([1, 1, 9, 3], tall, 2, 1, [0, 0, 4, 4]),
        ([1, 1, 13, 11], uneven, 1, 1, [-2, -3, 5, -1]),
        ([1, 1, 4, 6], uneven, 3, 4, [0, 1, 2, 1]),
    ):
        yield single(r.normal(*shape), kernel=kernel, up=up, down=down, padding=padding)


GOLDENS = {
    "expand": (lambda x, shape: x.expand(shape), expand),
    "pad": (lambda x, padding, mode, value=0.0: F.pad(x, padding, mode, value), pad),
    "roll": (lambda x, shifts, axes: torch.roll(x, shifts, axes), roll),
    "window-partition": (window_partition, windows_of_maps),
    "window-reverse": (window_reverse, maps_of_windows),
    "pixel-shift": (pixel_shift, shifted),
    "resize": (resize, resized),
    "upfirdn2d": (upfirdn2d, filtered),
}
