"""The bytes of an image message, row by row, and what is raised where they do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np


class EncodingError(ValueError):
    """An encoding that is not read: no frame of the topic can be judged."""


def rows_of(
    message: Any, needed: int, height: int | None = None, begin: int = 0, step: int | None = None
) -> np.ndarray:
    """(height, needed) uint8: rows without what pads them. The last one of the data may come without its padding.

    height, step: by default of the message. begin: the byte at which the first row begins. Raises ValueError for data
    that are too short, and for rows that are shorter than they must be.
    """
    height, step = message.height if height is None else height, message.step if step is None else step
    data = np.frombuffer(message.data, np.uint8)
    if not (height and needed) or step < needed or len(data) < begin + step * (height - 1) + needed:
        raise ValueError(
            f"encoding {message.encoding}: {len(data):,} bytes in rows of {message.step:,} for"
            f" {message.width} x {message.height} pixels"
        )
    return np.lib.stride_tricks.as_strided(data[begin:], (height, needed), (step, 1), writeable=False)


def numbers_of(message: Any, dtype: str, channels: int) -> np.ndarray:
    """(height, width, channels) of a message whose pixels lie side by side, in this machine's order of bytes.

    dtype: of one number, such as ``u2``.
    """
    size = np.dtype(dtype).itemsize
    rows = np.ascontiguousarray(rows_of(message, message.width * channels * size))
    values = rows.view(f"{'>' if message.is_bigendian else '<'}{dtype}")
    return values.astype(dtype, copy=False).reshape(message.height, message.width, channels)
