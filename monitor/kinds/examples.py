"""Pictures of each kind, made of held-out ones: no unsafe data, and no gradient of the network.

Each change takes a picture (channels, height, width) of floats from 0 for black to 1 for white, the others of its set
(n, channels, height, width), and a generator. Its strength is drawn anew for each picture. The strengths are choices of
ours, made on held-out training images of CIFAR-10 and of traffic signs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from . import sensors

SENSOR, ADVERSARIAL, UNFAMILIAR, UNSURE = "sensor", "adversarial", "unfamiliar", "unsure"
TOLD = SENSOR, ADVERSARIAL, UNFAMILIAR, UNSURE
"""The kinds that are told apart."""
UNKNOWN = "unknown"
KINDS = *TOLD, UNKNOWN
"""All that a verdict may say."""

Rng = np.random.Generator
Change = Callable[[np.ndarray, np.ndarray, Rng], np.ndarray]
_FAINT, _STRONG = 0.008, 0.1


class Example(NamedTuple):
    """One cause of an alarm: its kind, its name and the change that shows it."""

    kind: str
    name: str
    change: Change


def _between(rng: Rng, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _size(x: np.ndarray, rng: Rng, low: float, high: float) -> int:
    """A length in pixels, as a share of the shorter side; 2 or more."""
    return max(2, round(min(x.shape[1:]) * _between(rng, low, high)))


# Sensor.


def _dead_rows(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.dead_rows(x, _between(rng, 0.03, 0.4), rng)


def _dead_columns(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.dead_columns(x, _between(rng, 0.03, 0.4), rng)


def _dead_pixels(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.dead_pixels(x, _between(rng, 0.005, 0.2), rng)


def _noise_bands(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.noise_bands(x, int(rng.integers(1, 5)), rng.uniform(0.03, 0.15), rng)


def _channel_lost(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.channel_lost(x, rng)


def _over_exposed(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.exposed(x, _between(rng, 1.6, 5), 0, rng) + np.float32(rng.uniform(0, 0.2))


def _under_exposed(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.exposed(x, _between(rng, 0.06, 0.5), _between(rng, 0.003, 0.02), rng)


def _low_contrast(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    middle = np.float32(rng.uniform(0.2, 0.8))
    return middle + (x - middle) * np.float32(_between(rng, 0.1, 0.5))


def _blur(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.blurred(x, _size(x, rng, 0.02, 0.1))


def _moved(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.moved(x, _size(x, rng, 0.06, 0.35), rng.uniform(0, np.pi))


def _pixelated(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.pixelated(x, _size(x, rng, 0.06, 0.25))


def _grain(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.exposed(x, 1, _between(rng, 0.05, 0.3), rng)


def _dirt(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.dirty(x, rng.uniform(0.1, 0.6), _between(rng, 0.02, 0.2), rng)


def _veil(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    return sensors.veiled(x, rng.uniform(0.4, 0.8), rng.uniform(0.7, 1), rng)


# Adversarial: fine and faint, each value moved by the same, as by the sign of a gradient.


def _signs(x: np.ndarray, _others: np.ndarray, rng: Rng, *, of_channels: bool = True) -> np.ndarray:
    shape = x.shape if of_channels else (1, *x.shape[1:])
    return x + _faint(rng) * (rng.integers(0, 2, shape) * 2 - 1).astype(np.float32)


def _checkered(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    rows, columns = (np.arange(size) for size in x.shape[1:])
    pattern = (rows[:, None] * rng.integers(0, 2) + columns) % 2 * 2 - 1
    return x + _faint(rng) * pattern.astype(np.float32) * _flips(x, rng)


def _waves(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    """The sign of three waves of two to four pixels."""
    rows, columns = (np.arange(size) for size in x.shape[1:])
    total = np.zeros(x.shape, np.float32)
    for _ in range(3):
        down, right = 2 * np.pi * rng.uniform(0.25, 0.5, 2) * rng.choice([-1, 1], 2)
        total += np.sin(down * rows[:, None] + right * columns).astype(np.float32) * _flips(x, rng)
    return x + _faint(rng) * np.sign(total)


def _clusters(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    """Signs, of which seven in ten are those of blocks of 2 x 2 pixels."""
    blocks = [(size + 1) // 2 for size in x.shape[1:]]
    coarse = np.kron(rng.integers(0, 2, (len(x), *blocks)), np.ones((1, 2, 2), np.int64))
    fine = rng.integers(0, 2, x.shape)
    mixed = np.where(rng.random(x.shape) < 0.7, coarse[:, : x.shape[1], : x.shape[2]], fine) * 2 - 1
    return x + _faint(rng) * mixed.astype(np.float32)


def _faint(rng: Rng) -> np.float32:
    return np.float32(_between(rng, _FAINT, _STRONG))


def _flips(x: np.ndarray, rng: Rng) -> np.ndarray:
    """1 or -1 for each channel, (channels, 1, 1) float32."""
    return rng.choice([-1, 1], (len(x), 1, 1)).astype(np.float32)


# Unfamiliar: other content, as sharp and as bright as before.


def _pasted(x: np.ndarray, others: np.ndarray, rng: Rng) -> np.ndarray:
    """A piece of another picture, round or nearly square, its colours changed or not."""
    shape = x.shape[1:]
    wide = rng.uniform(0.2, 0.6)
    height, width = (min(max(2, int(size * wide * rng.uniform(0.7, 1.3))), size - 1) for size in shape)
    piece = _piece(others, height, width, rng)
    if rng.random() < 0.5:
        piece = piece[rng.permutation(len(x))]
    if rng.random() < 0.3:
        piece = 1 - piece
    rows, columns = (np.abs(np.linspace(-1, 1, size)) ** rng.choice([2, 8]) for size in (height, width))
    top, left = (int(rng.integers(0, size - own + 1)) for size, own in zip(shape, (height, width), strict=True))
    made = x.copy()
    there = made[:, top : top + height, left : left + width]
    there[:] = np.where(rows[:, None] + columns <= 1, piece, there)
    return made


def _shuffled(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    """Cut in 4 to 36 patches, which change places."""
    across = int(rng.choice([2, 3, 4, 6]))
    height, width = (size // across for size in x.shape[1:])
    made, order = x.copy(), rng.permutation(across**2)
    for to, of in enumerate(order.tolist()):
        (row, column), (i, j) = divmod(to, across), divmod(of, across)
        made[:, row * height : (row + 1) * height, column * width : (column + 1) * width] = x[
            :, i * height : (i + 1) * height, j * width : (j + 1) * width
        ]
    return made


def _mosaic(x: np.ndarray, others: np.ndarray, rng: Rng) -> np.ndarray:
    """4 to 16 pieces of other pictures."""
    across = int(rng.choice([2, 3, 4]))
    height, width = (size // across for size in x.shape[1:])
    made = x.copy()
    for to in range(across**2):
        row, column = divmod(to, across)
        made[:, row * height : (row + 1) * height, column * width : (column + 1) * width] = _piece(
            others, height, width, rng
        )
    return made


def _shapes(x: np.ndarray, _others: np.ndarray, rng: Rng) -> np.ndarray:
    """Blobs of one colour each, on a plain ground or on the picture."""
    made = np.broadcast_to(_colour(x, rng), x.shape) if rng.random() < 0.6 else x
    for _ in range(int(rng.integers(1, 6))):
        cloud = sensors.clouds(x.shape[1:], int(rng.integers(2, 6)), rng)
        made = np.where(cloud > np.quantile(cloud, rng.uniform(0.5, 0.9)), _colour(x, rng), made)
    return made


def _piece(others: np.ndarray, height: int, width: int, rng: Rng) -> np.ndarray:
    other = others[rng.integers(len(others))]
    top, left = (
        int(rng.integers(0, size - own + 1)) for size, own in zip(other.shape[1:], (height, width), strict=True)
    )
    found: np.ndarray = other[:, top : top + height, left : left + width]
    return found


def _colour(x: np.ndarray, rng: Rng) -> np.ndarray:
    return rng.random((len(x), 1, 1), np.float32)


# Unsure.


def _mixed(x: np.ndarray, others: np.ndarray, rng: Rng) -> np.ndarray:
    """Two pictures over each other."""
    share = np.float32(rng.uniform(0.35, 0.65))
    return x * share + others[rng.integers(len(others))] * (1 - share)


EXAMPLES = (
    *(Example(SENSOR, *one) for one in (
        ("dead rows", _dead_rows), ("dead columns", _dead_columns), ("dead pixels", _dead_pixels),
        ("noise bands", _noise_bands), ("channel lost", _channel_lost), ("over-exposed", _over_exposed),
        ("under-exposed", _under_exposed), ("low contrast", _low_contrast), ("blur", _blur), ("motion", _moved),
        ("pixelated", _pixelated), ("grain", _grain), ("dirt", _dirt), ("veil", _veil),
    )),
    *(Example(ADVERSARIAL, *one) for one in (
        ("signs", _signs), ("signs alike in all channels", partial(_signs, of_channels=False)),
        ("checkers", _checkered), ("waves", _waves), ("clusters", _clusters),
    )),
    *(Example(UNFAMILIAR, *one) for one in (
        ("pasted", _pasted), ("shuffled", _shuffled), ("mosaic", _mosaic), ("shapes", _shapes),
    )),
    Example(UNSURE, "mixed", _mixed),
)  # fmt: skip
"""What a picture can show. What needs the network itself stands in `probing`: driven activations and boundaries."""


class Scale(NamedTuple):
    """What is black and what is white in the samples of a network, each (channels, 1, 1) float32."""

    black: np.ndarray
    white: np.ndarray

    @classmethod
    def of(cls, pictures: np.ndarray) -> Scale:
        """The lowest and highest value of each channel of pictures (n, channels, height, width)."""
        low, high = (edge(pictures, axis=(0, 2, 3)).astype(np.float32)[:, None, None] for edge in (np.min, np.max))
        return cls(low, np.where(high > low, high, low + 1))

    def unit(self, pictures: np.ndarray) -> np.ndarray:
        """As float32 from 0 for black to 1 for white."""
        found: np.ndarray = ((pictures.astype(np.float32) - self.black) / (self.white - self.black)).astype(np.float32)
        return found

    def sample(self, picture: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """A picture of such floats, cut off at black and white, as the network takes it."""
        values = self.black + np.clip(picture, 0, 1) * (self.white - self.black)
        return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)
