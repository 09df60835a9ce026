"""What a broken sensor does to a picture: the faults that are shown to a user and those that kinds are learned from.

A picture is (channels, height, width) floats from 0 for black to 1 for white. What is returned may lie outside: white
is where it ends. Each function draws from the generator given and leaves the picture as it is.
"""

from __future__ import annotations

import numpy as np

Picture = np.ndarray


def some_of(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which of `count` are hit, (count,) bool: the share of them, rounded down, chosen at random."""
    return rng.permutation(np.arange(count) < int(count * share))


def at_least_one(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """As `some_of`, and one where the share comes to none."""
    return some_of(count, max(share, 1 / count), rng)


def dead_rows(x: Picture, share: float, rng: np.random.Generator) -> Picture:
    """A share of the rows is black."""
    return np.where(at_least_one(x.shape[1], share, rng)[:, None], np.float32(0), x)


def dead_columns(x: Picture, share: float, rng: np.random.Generator) -> Picture:
    """A share of the columns is black."""
    return np.where(at_least_one(x.shape[2], share, rng), np.float32(0), x)


def dead_pixels(x: Picture, share: float, rng: np.random.Generator) -> Picture:
    """A share of the pixels is black or white, each with the same chance."""
    dead = at_least_one(x[0].size, share, rng).reshape(x.shape[1:])
    return np.where(dead, (rng.random(x.shape[1:]) < 0.5).astype(np.float32), x)


def noise_bands(x: Picture, bands: int, share: float, rng: np.random.Generator) -> Picture:
    """Bands of noise, each as high as a share of the picture."""
    made, height = x.copy(), max(int(x.shape[1] * share), 1)
    for top in rng.integers(0, x.shape[1] - height + 1, bands):
        made[:, top : top + height] = rng.random(made[:, top : top + height].shape, np.float32)
    return made


def channel_lost(x: Picture, rng: np.random.Generator) -> Picture:
    """One channel is black."""
    made = x.copy()
    made[rng.integers(len(x))] = 0
    return made


def exposed(x: Picture, gain: float, grain: float, rng: np.random.Generator) -> Picture:
    """As many times as bright, with noise of that standard deviation."""
    return x * np.float32(gain) + rng.normal(0, grain, x.shape).astype(np.float32)


def blurred(x: Picture, size: int) -> Picture:
    """Averaged twice over `size` x `size` pixels, the edge repeated; an even size counts as one more."""
    return box_mean(box_mean(x, size), size)


def box_mean(x: Picture, size: int) -> Picture:
    """Averaged over `size` x `size` pixels around each, the edge repeated; an even size counts as one more."""
    half = size // 2
    for axis in (-2, -1):
        padded = np.pad(x, [(half, half) if a == x.ndim + axis else (0, 0) for a in range(x.ndim)], mode="edge")
        sums = np.cumsum(padded, axis, dtype=np.float64)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis)
        n, of = x.shape[axis], 2 * half + 1
        window = sums.take(range(of, n + of), axis) - sums.take(range(n), axis)
        x = (window / of).astype(np.float32)
    return x


def moved(x: Picture, length: int, angle: float) -> Picture:
    """Averaged along a line of `length` pixels at an angle in radians, as where the camera moved; the edge repeated."""
    down, right = np.sin(angle), np.cos(angle)
    steps = np.linspace(-length / 2, length / 2, max(length, 2))
    total = np.zeros(x.shape, np.float32)
    for step in steps:
        rows = np.clip(np.arange(x.shape[1]) + round(step * down), 0, x.shape[1] - 1)
        columns = np.clip(np.arange(x.shape[2]) + round(step * right), 0, x.shape[2] - 1)
        total += x[:, rows[:, None], columns]
    return total / len(steps)


def pixelated(x: Picture, size: int) -> Picture:
    """Each block of `size` x `size` pixels of one colour, that of its mean."""
    middles = box_mean(x, size)
    rows, columns = (np.minimum(np.arange(n) // size * size + size // 2, n - 1) for n in x.shape[1:])
    return middles[:, rows[:, None], columns]


def clouds(shape: tuple[int, ...], cells: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers in [0, 1] that change slowly: `cells` x `cells` random ones, bilinearly between. `shape` float32."""
    coarse = rng.random((cells, cells), np.float32)
    for axis, size in enumerate(shape):
        at = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
        low = at.astype(np.int64)
        high, share = np.minimum(low + 1, cells - 1), (at - low).astype(np.float32)
        share = share[:, None] if axis == 0 else share
        coarse = coarse.take(low, axis) * (1 - share) + coarse.take(high, axis) * share
    return coarse


def dirty(x: Picture, share: float, softness: float, rng: np.random.Generator) -> Picture:
    """Dirt of one dark colour, out of focus, over a share of the picture."""
    cloud = clouds(x.shape[1:], int(rng.integers(3, 9)), rng)
    edge = np.quantile(cloud, 1 - share)
    cover = np.clip((cloud - edge) / np.float32(softness), 0, 1).astype(np.float32) * np.float32(rng.uniform(0.6, 1))
    colour = (rng.uniform(0, 0.4) * rng.uniform(0.7, 1.3, (len(x), 1, 1))).astype(np.float32)
    return x * (1 - cover) + colour * cover


def veiled(x: Picture, thickness: float, white: float, rng: np.random.Generator) -> Picture:
    """A bright veil, as of stray light or fog, that thick in the mean and a little uneven."""
    cover = np.clip(thickness + 0.4 * (clouds(x.shape[1:], 4, rng) - 0.5), 0, 1)
    return x * (1 - cover) + np.float32(white) * cover
