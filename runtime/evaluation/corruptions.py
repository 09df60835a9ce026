"""Weather, lenses, noise and compression at five severities, by the library imagecorruptions.

The corruptions are those of ImageNet-C (Hendrycks and Dietterich, ICLR 2019). The library's maintained form on PyPI is
``imagecorruptions-imaug``; the extra ``corruptions`` installs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ...networks.packages import require
from .faults import random_of, stored, unit

COMMON = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
"""The fifteen of ImageNet-C."""
CORRUPTIONS = (*COMMON, "speckle_noise", "gaussian_blur", "spatter", "saturate")
"""These, and the four that its authors kept for validation."""
SEVERITIES = (1, 2, 3, 4, 5)
_LEAST = 32
_IMPULSES = (0.03, 0.06, 0.09, 0.17, 0.27)


def corrupted(
    picture: np.ndarray, corruption: str, severity: int, frame: int = 0, *, white: float | None = None, seed: int = 0
) -> np.ndarray:
    """A picture spoiled by a corruption, in its own shape and type.

    picture: (1 or 3, height, width). severity: 1 to 5. frame: the number of the frame, which draws the same whatever
    came before. white: as of `faulty`. The library works on 8 bits and on at least 32 x 32 pixels: deeper pictures are
    rounded to these and brought back, smaller ones are extended by their edge and cut again. Of a gray picture it is
    the first channel of what it makes. Raises ValueError for another name or severity, ImportError without the library.
    """
    if corruption not in CORRUPTIONS:
        raise ValueError(f"expected a corruption among {', '.join(CORRUPTIONS)}, got {corruption!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"expected a severity from 1 to 5, got {severity!r}")
    library = require("imagecorruptions", "corruptions need imagecorruptions", "corruptions")
    pixels = np.rint(unit(picture, white) * 255).astype(np.uint8).transpose(1, 2, 0)
    height, width, channels = pixels.shape
    more = [(0, max(_LEAST - size, 0)) for size in (height, width)]
    extended = np.repeat(np.pad(pixels, [*more, (0, 0)], mode="edge"), 3 // channels, axis=2)
    rng = random_of(corruption, frame, seed)
    if corruption == "impulse_noise":
        made = _impulse_noise(extended, severity, rng)
    else:
        options = {"seed": int(rng.integers(1 << 31))} if corruption == "glass_blur" else {}
        with _drawing(int(rng.integers(1 << 31))):
            made = library.corrupt(np.ascontiguousarray(extended), severity, corruption, **options)
    cut = made[:height, :width, :channels].transpose(2, 0, 1)
    return stored(np.float32(cut) / 255, picture.dtype, white)


def _impulse_noise(pixels: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The library's own call, which it makes without a seed."""
    noise = require("skimage.util", "corruptions need scikit-image", "corruptions").random_noise
    made = noise(pixels / 255, mode="s&p", amount=_IMPULSES[severity - 1], rng=rng)
    return np.uint8(np.clip(made, 0, 1) * 255)


@contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Let the library, which draws from numpy's one global state, draw from a seed; the state is given back."""
    before = np.random.get_state()  # noqa: NPY002 (what the library draws from)
    np.random.set_state(np.random.RandomState(seed).get_state())  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
