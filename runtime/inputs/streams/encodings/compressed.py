"""sensor_msgs/CompressedImage as image_transport's plugins write it, pictures of depth too."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from .....networks.pictures.reading import decode_picture
from .bayer import BAYER, debayered
from .rows import EncodingError

_HEADER = struct.Struct("<iff")
_COLOURS = ("rgb8", "rgba8", "rgb16", "rgba16", "bgr8", "bgra8", "bgr16", "bgra16")


def compressed_picture(message: Any) -> np.ndarray:
    """A message as (1 or 3, height, width) of the numbers in its picture file, luminance or RGB.

    `format` says what the file holds: nothing but its kind ("jpeg"), or the encoding before ("rgb8; jpeg compressed
    bgr8"). Without "compressed bgr" the publisher took red for blue, which is undone, as the subscriber of
    compressed_image_transport does. A mosaic is debayered. Depth ("32FC1; compressedDepth png") is in metres, NaN where
    none was measured; 16UC1 is as stored. Raises ValueError for broken data, EncodingError for what is not read.
    """
    encoding, _, how = (part.strip() for part in message.format.partition(";"))
    data = bytes(message.data)
    if "compressedDepth" in how or encoding == "compressedDepth":
        return _depth(data, encoding, how)
    picture = decode_picture(data, f"encoding {message.format!r}" if message.format else "the compressed data")
    if encoding in BAYER and len(picture) == 1:
        return debayered(picture[0], encoding)
    if encoding in _COLOURS and how and "compressed bgr" not in how and len(picture) == 3:
        return np.ascontiguousarray(picture[::-1])
    return picture


def _depth(data: bytes, encoding: str, how: str) -> np.ndarray:
    """What compressed_depth_image_transport writes: three numbers, and a PNG file of depths or of inverse depths."""
    if encoding not in ("16UC1", "32FC1"):
        raise EncodingError(f"expected compressedDepth of 16UC1 or 32FC1, got {encoding!r}")
    if "rvl" in how:
        raise EncodingError(f"expected compressedDepth as PNG, got {how!r}; set its parameter format to png")
    if len(data) <= _HEADER.size:
        raise ValueError(f"encoding {encoding}; compressedDepth: {len(data)} bytes, which is no more than a header")
    _, a, b = _HEADER.unpack_from(data)
    picture = decode_picture(data[_HEADER.size :], f"encoding {encoding}; compressedDepth")
    if len(picture) != 1 or picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"encoding {encoding}; compressedDepth: {len(picture)} channels of {picture.dtype}")
    if encoding == "16UC1":
        return picture
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        metres = np.float32(a) / (picture.astype(np.float32) - np.float32(b))
    metres[picture == 0] = np.nan
    return metres
