"""Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) in numpy.

The project's stream: key = (seed lo, seed hi), counter = (block, 0, offset, 0); the four words of block i
belong to the elements 4i .. 4i+3.
"""

import numpy as np

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = 0x9E3779B9, 0xBB67AE85
MASK = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


def philox4x32_10(counter, key):
    """counter: four u32 values or arrays; key: two u32 integers. Returns four uint64 arrays of u32 words."""
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(c, np.uint64) for c in counter))
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * M0, c2 * M1  # below 2^64: no wrap
        c0, c1, c2, c3 = (p1 >> SHIFT) ^ c1 ^ np.uint64(k0), p1 & MASK, (p0 >> SHIFT) ^ c3 ^ np.uint64(k1), p0 & MASK
        k0, k1 = (k0 + W0) & 0xFFFFFFFF, (k1 + W1) & 0xFFFFFFFF
    return c0, c1, c2, c3


def check_known_answers():
    """The published vectors of Random123 1.14 (tests/kat_vectors, philox4x32-10)."""
    ones = 0xFFFFFFFF
    for counter, key, expected in (
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ones, ones, ones, ones), (ones, ones), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ):
        words = " ".join(f"{int(word):08x}" for word in philox4x32_10(counter, key))
        assert words == expected, f"Philox is wrong: {words}, expected {expected}"


def words(count, seed, offset):
    """The u32 words of the elements 0 .. count-1, as [blocks, 4] (the last block may be partly unused)."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    return np.stack(philox4x32_10((blocks, 0, offset, 0), seed), axis=-1)


def uniform(count, seed, offset):
    """count float64 values in [0, 1), all multiples of 2^-24, hence exact in float32."""
    high = words(count, seed, offset) >> np.uint64(8)
    return (high.astype(np.float64) * 2.0**-24).reshape(-1)[:count]


def normal(count, seed, offset):
    """count standard normal float64 values: Box-Muller on the word pairs (0, 1) and (2, 3) of each block."""
    high = (words(count, seed, offset) >> np.uint64(8)).astype(np.float64).reshape(-1, 2, 2)
    radius = np.sqrt(-2.0 * np.log((high[..., 0] + 0.5) * 2.0**-24))
    angle = 2.0 * np.pi * (high[..., 1] * 2.0**-24)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1)[:count]
