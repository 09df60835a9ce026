"""Pictures inside a page, as addresses that hold them, and the heights of bars."""

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
