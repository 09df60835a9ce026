"""What a broken sensor does to a picture, before anything else happens to it.

Pictures are (channels, height, width) with 1 or 3 channels, in any integer type or float32, as `Source.picture` gives
them. The strengths are choices of ours: what a driver would notice, not what a norm asks for.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...monitor.kinds import sensors

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""A picture of floats from 0 for black to 1 for white, and another in return."""
FROZEN = "frozen"
"""The fault that shows the frame before: one of a sequence, which a single picture cannot tell."""
_LOST = 1 / 8
_DEAD = 1 / 50
_BITS = 255


@dataclass(frozen=True)
class SensorFault:
    """A fault by its name. change: what it does. fixed: whether it is the same in every frame, as a dead pixel is."""

    name: str
    change: Change
    fixed: bool = False
    coloured: bool = False
    """Whether there is such a fault of colour cameras alone."""


def _shifted_rows(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Synchronisation is lost: from a row on, all are shifted; three times."""
    made = x.copy()
    for top in rng.integers(0, x.shape[1], 3):
        made[:, top:] = np.roll(made[:, top:], int(rng.integers(1, max(x.shape[2] // 2, 2))), axis=2)
    return made


def _shifted_bits(x: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Every value moves up by a bit, and the highest of eight bits is lost."""
    return (np.rint(x * _BITS) * 2 % (_BITS + 1) / _BITS).astype(np.float32)


FAULTS = {
    one.name: one
    for one in (
        SensorFault("black", lambda x, _rng: np.zeros_like(x)),
        SensorFault("white", lambda x, _rng: np.ones_like(x)),
        SensorFault(FROZEN, lambda x, _rng: x),
        SensorFault("dead-rows", lambda x, rng: sensors.dead_rows(x, _LOST, rng), fixed=True),
        SensorFault("dead-columns", lambda x, rng: sensors.dead_columns(x, _LOST, rng), fixed=True),
        SensorFault("dead-pixels", lambda x, rng: sensors.dead_pixels(x, _DEAD, rng), fixed=True),
        SensorFault("noise-bands", lambda x, rng: sensors.noise_bands(x, 3, 1 / 16, rng)),
        SensorFault("channel-lost", sensors.channel_lost, fixed=True, coloured=True),
        SensorFault("rows-shifted", _shifted_rows),
        SensorFault("bits-shifted", _shifted_bits),
        SensorFault("over-exposed", lambda x, _rng: x * 4),
        SensorFault("under-exposed", lambda x, rng: sensors.exposed(x, 1 / 8, 0.01, rng)),
    )
}
"""By name. An eighth of the rows or columns is dead, or a fiftieth of the pixels. Three bands of noise have a sixteenth
of the height each. Exposure is four times and an eighth of what it was."""


def faulty(picture: np.ndarray, fault: str, frame: int = 0, *, white: float | None = None, seed: int = 0) -> np.ndarray:
    """A picture as a broken sensor gives it, in its own shape and type. `frozen` is of a sequence and changes nothing.

    picture: (1 or 3, height, width). frame: the number of the frame: the same draws the same. white: the number that is
    white, by default the largest of unsigned integers and 1 for floats. Raises ValueError for an unknown fault, for
    `channel-lost` of a gray picture, and where white is not known.
    """
    if fault not in FAULTS:
        raise ValueError(f"expected a fault among {', '.join(FAULTS)}, got {fault!r}")
    one = FAULTS[fault]
    if one.coloured and len(picture) < 3:
        raise ValueError(f"expected a coloured picture for {fault}, got {len(picture)} channel")
    if fault == FROZEN:
        return picture
    made = one.change(unit(picture, white), random_of(fault, None if one.fixed else frame, seed))
    return stored(made, picture.dtype, white)


def random_of(name: str, frame: int | None, seed: int) -> np.random.Generator:
    """The random numbers of a change by its name, of one frame or of all."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *([] if frame is None else [frame])])


def unit(picture: np.ndarray, white: float | None) -> np.ndarray:
    """The picture as float32 from 0 for black to 1 for white."""
    return np.clip(picture.astype(np.float32) / np.float32(_white(picture.dtype, white)), 0, 1)


def stored(values: np.ndarray, dtype: np.dtype, white: float | None) -> np.ndarray:
    """Such values as a picture of that type."""
    numbers = np.clip(values, 0, 1) * _white(dtype, white)
    return (np.rint(numbers) if dtype.kind in "iu" else numbers).astype(dtype)


def _white(dtype: np.dtype, white: float | None) -> float:
    if white is not None:
        return white
    if dtype.kind == "u":
        return float(np.iinfo(dtype).max)
    if dtype.kind == "f":
        return 1.0
    raise ValueError(f"expected white= for pictures of {dtype}, got none; it is the number that is white")
