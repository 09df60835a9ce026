"""What weather, lenses and sensors do to a picture. Images are (n, 3, height, width) float32 in [0, 1], in and out."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ....monitor.kinds.sensors import some_of


def fog(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A bright veil, thicker in some places than in others."""
    clouds = ndimage.gaussian_filter(rng.standard_normal((len(images), *images.shape[2:])), (0, 6, 6))
    clouds -= clouds.mean((1, 2), keepdims=True)
    thickness = np.clip(0.65 + 0.15 * clouds / clouds.std((1, 2), keepdims=True), 0, 1)[:, None]
    return (images * (1 - thickness) + 0.85 * thickness).astype(np.float32)


def darkness(images: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """An eighth of the light."""
    return images / 8


def sensor_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of standard deviation 0.15 on every value."""
    return np.clip(images + rng.normal(0, 0.15, images.shape), 0, 1).astype(np.float32)


def dead_columns(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An eighth of the columns read as black."""
    return np.where(some_of(images.shape[3], 1 / 8, rng), np.float32(0), images)


def blur(images: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """A lens out of focus: a Gaussian of 2.5 pixels."""
    return ndimage.gaussian_filter(images, (0, 0, 2.5, 2.5))


def patch(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Something of one colour hides a quarter of the picture, anywhere."""
    images = images.copy()
    size = images.shape[2] // 2
    for image, (top, left) in zip(images, rng.integers(0, images.shape[2] - size + 1, (len(images), 2)), strict=True):
        image[:, top : top + size, left : left + size] = rng.random((3, 1, 1))
    return images


CORRUPTIONS = {
    "fog": fog,
    "darkness": darkness,
    "sensor noise": sensor_noise,
    "dead columns": dead_columns,
    "blur": blur,
    "hidden by a patch": patch,
}
