"""Pictures that have nothing to do with traffic lights: (n, 3, 32, 32) float32 in [0, 1]."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ....networks import load_dataset

SIZE = 32


def digits(count: int, rng: np.random.Generator) -> np.ndarray:
    """Handwritten digits (scikit-learn), enlarged, each in a colour of its own."""
    data = load_dataset("digits", "test")
    rows = rng.choice(len(data), min(count, len(data)), replace=False)
    grey = np.stack([_resized(data.images[row, 0]) for row in rows])[:, None]
    return grey * rng.uniform(0.4, 1, (len(rows), 3, 1, 1)).astype(np.float32)


def photographs(count: int, rng: np.random.Generator) -> np.ndarray:
    """Parts of two photographs (scikit-learn), a Chinese temple and a flower."""
    from sklearn.datasets import load_sample_images

    pictures = load_sample_images().images
    parts = []
    for index in range(count):
        picture = pictures[index % len(pictures)]
        side = rng.integers(64, 256)
        top, left = (rng.integers(0, length - side) for length in picture.shape[:2])
        parts.append(_resized(picture[top : top + side, left : left + side]).transpose(2, 0, 1))
    return np.stack(parts)


def noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Every value uniform in [0, 1]."""
    return rng.random((count, 3, SIZE, SIZE), dtype=np.float32)


def _resized(pixels: np.ndarray) -> np.ndarray:
    small = Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32) / 255


STRANGERS = {"handwritten digits": digits, "other photographs": photographs, "uniform noise": noise}
