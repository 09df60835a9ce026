"""Pictures brought to the size that a network takes: stretched, scaled into it, or cut out of."""

from __future__ import annotations

import numpy as np

from ..packages import require

FITS = ("stretch", "letterbox", "crop")
"""How a picture of another shape becomes one of the size asked for."""
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
"""The filters of Pillow. All but ``nearest`` take the mean over what becomes one pixel (antialiasing)."""

_OVERSHOOT = ("bicubic", "lanczos")


def fitted(picture: np.ndarray, size: tuple[int, int], fit: str, shorter: int | None, filtered: str) -> np.ndarray:
    """(channels, *size) of a picture, uint8 or float32; with ``letterbox`` as much of it as the picture fills.

    ``stretch``: both sides scaled on their own. ``letterbox``: scaled by one factor to lie within. ``crop``: scaled by
    one factor until the shorter side is `shorter`, None: until both sides cover the size, and the middle cut out.
    """
    height, width = picture.shape[1:]
    picture = resized(picture, scaled_size((height, width), size, fit, shorter), filtered)
    if fit != "crop":
        return picture
    # Halves are rounded to even, as torchvision's CenterCrop does.
    top, left = (round((have - want) / 2) for have, want in zip(picture.shape[1:], size, strict=True))
    return picture[:, top : top + size[0], left : left + size[1]]


def scaled_size(shape: tuple[int, int], size: tuple[int, int], fit: str, shorter: int | None) -> tuple[int, int]:
    """(height, width) that a picture of `shape` is resized to, before something is cut off or filled up."""
    if fit == "stretch":
        return size
    ratios = [want / have for want, have in zip(size, shape, strict=True)]
    if fit == "letterbox":
        factor = min(ratios)
        return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
    if shorter is None:
        factor = max(ratios)
        return max(size[0], round(shape[0] * factor)), max(size[1], round(shape[1] * factor))
    longer = int(shorter * max(shape) / min(shape))  # as torchvision's Resize does, cut off and not rounded
    return (shorter, longer) if shape[0] <= shape[1] else (longer, shorter)


def resized(picture: np.ndarray, size: tuple[int, int], filtered: str) -> np.ndarray:
    """(channels, *size) of the same dtype, as Pillow resizes it; floats stay within 0 to 255, as uint8 does.

    Raises ImportError without Pillow.
    """
    if picture.shape[1:] == size:
        return picture
    image = require("PIL.Image", "resizing pictures needs Pillow", "pictures")
    way = image.Resampling[filtered.upper()]
    made = np.empty((len(picture), *size), picture.dtype)
    for plane, out in zip(picture, made, strict=True):
        out[:] = image.fromarray(plane).resize(size[::-1], way)
    if filtered in _OVERSHOOT and made.dtype.kind == "f":
        np.clip(made, 0, 255, out=made, where=np.isfinite(made))
    return made


def framed(picture: np.ndarray, size: tuple[int, int], fill: float) -> np.ndarray:
    """(channels, *size): the picture in the middle, an odd pixel more below and on the right, the rest `fill`."""
    height, width = picture.shape[1:]
    if (height, width) == size:
        return picture
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    made = np.full((len(picture), *size), fill, picture.dtype)
    made[:, top : top + height, left : left + width] = picture
    return made
