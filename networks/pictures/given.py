"""What a camera, OpenCV or Pillow hands over, as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from .reading import from_pillow

_DTYPES = ("uint8", "uint16", "int32", "float32")


def picture_of(frame: Any, order: str = "RGB") -> np.ndarray:
    """A picture, (1 or 3, height, width), luminance or RGB, of an array with the channels last or of a PIL image.

    frame: (height, width), (height, width, 1), (height, width, 3) or, opaque everywhere, (height, width, 4); uint8,
    uint16, int32, float32, or bool for black and white. order: of the channels of an array, ``RGB`` or ``BGR``, which
    is what OpenCV gives. A PIL image is taken upright and by the rules of `read_picture`.
    The result is C-contiguous and of the array's own dtype; its numbers are not changed.
    Raises TypeError for anything else and for another dtype, ValueError for another shape and for transparent pixels.
    """
    if order not in ("RGB", "BGR"):
        raise ValueError(f"expected order 'RGB' or 'BGR', got {order!r}")
    if hasattr(frame, "getbands"):
        try:
            return from_pillow(frame)
        except (ValueError, OSError) as error:
            raise ValueError(f"expected a picture, got {error}") from None
    if not isinstance(frame, np.ndarray):
        raise TypeError(f"expected an array or a PIL image, got {type(frame).__name__}; read_picture reads files")
    if frame.dtype == bool:
        frame = frame.astype(np.uint8) * np.uint8(255)
    if frame.dtype.name not in _DTYPES or not frame.dtype.isnative:
        raise TypeError(f"expected a picture of dtype {', '.join(_DTYPES)}, got {frame.dtype}")
    frame = frame[..., None] if frame.ndim == 2 else frame
    if frame.ndim != 3 or frame.shape[2] not in (1, 3, 4) or not frame.size:
        first = frame.ndim == 3 and frame.shape[0] in (1, 3)
        more = "; with its channels first it is a picture already" if first else ""
        raise ValueError(f"expected a frame of shape (height, width[, 1, 3 or 4]), got {frame.shape}{more}")
    if frame.shape[2] == 4:
        opaque = np.iinfo(frame.dtype).max if frame.dtype.kind in "iu" else 1
        if not (frame[..., 3] == opaque).all():
            raise ValueError(
                "expected a picture, got one with transparent pixels; lay it over a background and leave alpha out"
            )
        frame = frame[..., :3]
    colours = frame[..., ::-1] if order == "BGR" else frame
    picture = np.empty((frame.shape[2], *frame.shape[:2]), frame.dtype)
    for channel, plane in enumerate(picture):  # faster than turning the whole
        plane[:] = colours[..., channel]
    return picture
