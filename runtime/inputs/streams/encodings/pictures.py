"""An image message as a picture, whatever its encoding."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bayer import BAYER, debayered
from .compressed import compressed_picture
from .packed import PACKED, packed_picture
from .rows import EncodingError, numbers_of
from .yuv import YUV, yuv_picture


def to_picture(message: Any) -> np.ndarray:
    """A sensor_msgs Image or CompressedImage as a picture: (1 or 3, height, width), luminance or RGB.

    It holds the numbers as they are stored, as uint8, uint16, int32 or float32: NaN in a picture of depth stays NaN.
    Raises EncodingError for an encoding that is not read, ValueError for data that do not fit the message's own sizes.
    """
    if not hasattr(message, "encoding"):
        return compressed_picture(message)
    encoding = message.encoding
    if encoding in PACKED:
        return packed_picture(message)
    if encoding in YUV:
        return yuv_picture(message)
    if encoding in BAYER:
        return debayered(numbers_of(message, "u1" if encoding.endswith("8") else "u2", 1)[:, :, 0], encoding)
    raise EncodingError(f"expected pictures encoded as {', '.join((*PACKED, *YUV, *BAYER))}, got {encoding!r}")
