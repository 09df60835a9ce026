"""Pictures as pixels, and inside a page as addresses that hold them; the heights of bars."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np


def inline(data: bytes, kind: str) -> str:
    """The address of an inline picture from the bytes of its file. kind: "png", "jpeg" or "webp"."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def inline_picture(pixels: np.ndarray, kind: str = "png", **options: Any) -> str:
    """The same from pixels, (height, width, channels) uint8. options: of Pillow's encoder. Raises ImportError."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, kind.upper(), **options)
    return inline(file.getvalue(), kind)


def heights(values: np.ndarray, bins: int, top: float) -> list[float]:
    """The heights of so many bars over [0, top], the tallest 1. values: (n,), some of them in that range."""
    counts, _ = np.histogram(values, bins, (0, top))
    return (counts / counts.max()).tolist()


def viewable(image: np.ndarray) -> np.ndarray:
    """A picture as uint8 pixels. image: (h, w, c) of any number type.

    Bytes stay as they are. Floats in [0, 1] are multiplied by 255. Other numbers are stretched: the least becomes 0,
    the greatest 255. NaN and Inf become black.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind == "f" and 0 <= image.min() <= image.max() <= 1:  # the usual case, in few passes
        return np.rint(image * 255).astype(np.uint8)
    values = image.astype(np.float64)
    finite = np.isfinite(values)
    values[~finite] = 0
    low, high = values.min(where=finite, initial=np.inf), values.max(where=finite, initial=-np.inf)
    if image.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    scaled[~finite] = 0
    return np.round(np.clip(np.nan_to_num(scaled), 0, 1) * 255).astype(np.uint8)
