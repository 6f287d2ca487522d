"""Goldens of src/slides: tile scores, tissue, resampling and stains by numpy, scipy and torch.

Run with /usr/bin/python3 (Debian: python3-numpy, python3-scipy, python3-torch). The pictures are made from integer
arithmetic that test/slides/pictures.ts repeats, so that no image is stored.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

OUT = Path(__file__).parent / "slides" / "slides.json"


def hash_noise(x, y, seed):
    """32-bit integer hash of a pixel, the same in JavaScript (Math.imul)."""
    h = (x * 374761393 + y * 668265263 + seed * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return (h ^ (h >> 16)) & 0xFF


def tissue(width, height, seed):
    """Nuclei (violet squares-in-discs) on pink stroma, white gaps, and noise: integers only."""
    image = np.zeros((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            n = hash_noise(x, y, seed)
            cell = hash_noise(x // 16, y // 16, seed + 1)
            dx, dy = x % 16 - 8, y % 16 - 8
            nucleus = dx * dx + dy * dy < 9 + cell % 40
            gap = hash_noise(x // 48, y // 48, seed + 2) < 70
            if gap:
                base, spread = (241, 240, 242), 6
            elif nucleus:
                base, spread = (96 + cell % 32, 64 + cell % 24, 140), 24
            else:
                base, spread = (214, 150 + cell % 32, 190), 28
            # Stain amount varies along all channels together; a little per channel.
            for c, b in enumerate(base):
                image[y, x, c] = min(255, max(0, b + n % spread - spread // 2 + (n >> (5 + c)) % 3))
    return image


def flat(width, height, seed):
    return np.full((height, width, 3), (200 + seed, 150, 180), np.uint8)


PICTURES = {"tissue": tissue, "flat": flat}


def grey(image):
    return image.astype(np.float64) @ np.array([0.299, 0.587, 0.114]) / 255


def sobel(plane):
    return ndimage.sobel(plane, axis=1, mode="nearest"), ndimage.sobel(plane, axis=0, mode="nearest")


def canny(plane):
    gx, gy = sobel(ndimage.gaussian_filter(plane, 1.4, mode="nearest"))
    size = np.sqrt(gx**2 + gy**2)
    longest = np.maximum(np.maximum(np.abs(gx), np.abs(gy)), 1e-300)
    y, x = np.mgrid[0 : size.shape[0], 0 : size.shape[1]]
    ahead = ndimage.map_coordinates(size, [y + gy / longest, x + gx / longest], order=1, mode="nearest")
    behind = ndimage.map_coordinates(size, [y - gy / longest, x - gx / longest], order=1, mode="nearest")
    inner = np.zeros(size.shape, bool)
    inner[1:-1, 1:-1] = True
    thin = inner & (size > 0.1) & (size >= ahead) & (size >= behind)
    labels, _ = ndimage.label(thin, np.ones((3, 3)))
    strong = np.unique(labels[thin & (size > 0.2)])
    return thin & np.isin(labels, strong)


def paeth_rows(image):
    height, width, _ = image.shape
    padded = np.zeros((height + 1, width + 1, 3), np.int32)
    padded[1:, 1:] = image
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    p = left + above - corner
    distance = np.stack([np.abs(p - left), np.abs(p - above), np.abs(p - corner)])
    guess = np.choose(distance.argmin(0), [left, above, corner])
    rows = ((image.astype(np.int32) - guess) & 255).astype(np.uint8).reshape(height, -1)
    return np.concatenate([np.full((height, 1), 4, np.uint8), rows], 1).tobytes()


def otsu(values, counts, centres):
    """Exhaustive between-class variance; first maximum."""
    best, split = -1.0, int(np.flatnonzero(counts)[-1])
    for k in range(len(counts) - 1):
        low, high = counts[: k + 1].sum(), counts[k + 1 :].sum()
        if low == 0 or high == 0:
            continue
        d = (counts[: k + 1] * centres[: k + 1]).sum() / low - (counts[k + 1 :] * centres[k + 1 :]).sum() / high
        if low * high * d * d > best * (1 + 1e-12):
            best, split = low * high * d * d, k
    return float(centres[split])


def otsu_bytes(values):
    return otsu(values, np.bincount(values.ravel(), minlength=256).astype(float), np.arange(256.0))


def otsu_floats(values):
    if values.max() == values.min():
        return float(values.max())
    counts, edges = np.histogram(values, 256)
    return otsu(values, counts.astype(float), (edges[1:] + edges[:-1]) / 2)


def saturation(image):
    high = image.max(2).astype(np.float64)
    return ((high - image.min(2)) / np.maximum(high, 1)).astype(np.float32)


def sequoia_mask(image):
    background = np.all([image[..., c] > otsu_bytes(image[..., c]) for c in range(3)], 0)
    s = saturation(image)
    return (s > otsu_floats(s)) & ~background & (image > 50).all(2)


def sequoia(image):
    mask = sequoia_mask(image)
    closed = ndimage.binary_dilation(mask, iterations=3)
    g = image.astype(np.float64) @ np.array([0.2125, 0.7154, 0.0721]) / 255
    low, high = np.percentile(g, [1, 99])
    overview = ndimage.binary_erosion(closed, iterations=3, border_value=1)
    return {
        "overview": int(overview.sum()),
        "overviewRows": [int(v) for v in (overview * np.arange(1, overview.shape[1] + 1)).sum(1)],
        "tissue": float(closed.mean()),
        "lowContrast": bool((high - low) / 2 < 0.05),
    }


def macenko(image):
    reference = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]])
    density = -np.log((image.reshape(-1, 3).astype(float) + 1) / 240)
    stained = density[~(density < 0.15).any(1)]
    _, vectors = np.linalg.eigh(np.cov(stained.T))
    plane = vectors[:, 1:3] * np.sign(vectors[:, 1:3].sum(0))
    t = stained @ plane
    phi = np.arctan2(t[:, 1], t[:, 0])
    ends = [plane @ [np.cos(a), np.sin(a)] for a in np.percentile(phi, [1, 99])]
    ends.sort(key=lambda v: -v[0])
    stains = np.stack(ends, 1)
    amounts = np.linalg.lstsq(stains, density.T, rcond=None)[0]
    maxima = np.percentile(amounts, 99, axis=1)
    scaled = amounts * (np.array([1.9705, 1.0308]) / maxima)[:, None]
    out = np.minimum(255, np.floor(240 * np.exp(-reference @ scaled) + 0.5)).T.reshape(image.shape)
    return {
        "haematoxylin": stains[:, 0].tolist(),
        "eosin": stains[:, 1].tolist(),
        "maxima": maxima.tolist(),
        "mean": out.mean((0, 1)).tolist(),
        "pixels": [int(v) for v in out.reshape(-1, 3)[:: 97].ravel()[:300]],
    }


def resampled(image, width, height):
    """torchvision's antialiased bilinear, before rounding."""
    planes = torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1))[None]
    out = torch.nn.functional.interpolate(planes, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return [round(float(v), 3) for v in out[0].permute(1, 2, 0).flatten()]


def scores(image):
    g = grey(image)
    gx, gy = sobel(g)
    filtered = paeth_rows(image)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return {
        "ig": float(np.hypot(gx, gy).mean()),
        "canny": int(canny(g).sum()),
        "dog": float(
            np.abs(ndimage.gaussian_filter(g, 1.0, mode="nearest") - ndimage.gaussian_filter(g, 1.6, mode="nearest")).mean()
        ),
        "log": float(np.abs(ndimage.gaussian_laplace(g, 1.4, mode="nearest")).mean()),
        "paethCrc": zlib.crc32(filtered),
        "bits": 8 * len(compressor.compress(filtered) + compressor.flush()),
        "otsu": [otsu_bytes(image[..., c]) for c in range(3)],
        "otsuSaturation": otsu_floats(saturation(image)),
    }


def main():
    cases = []
    for picture, width, height, seed in [("tissue", 96, 80, 1), ("tissue", 131, 67, 2), ("tissue", 7, 5, 3), ("flat", 32, 32, 0)]:
        image = PICTURES[picture](width, height, seed)
        case = {"picture": picture, "width": width, "height": height, "seed": seed, "crc": zlib.crc32(image.tobytes())}
        case["scores"] = scores(image)
        case["sequoia"] = sequoia(image)
        if picture == "tissue" and width > 50:
            case["macenko"] = macenko(image)
        cases.append(case)
    source = tissue(24, 18, 4)
    resizes = [{"width": w, "height": h, "pixels": resampled(source, w, h)} for w, h in [(12, 9), (11, 7), (24, 5), (31, 20)]]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"cases": cases, "resample": {"width": 24, "height": 18, "seed": 4, "to": resizes}}))
    print(OUT, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
