"""sensor_msgs/Image and CompressedImage as pictures, whichever file they come from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from ....monitor import OutriderWarning
from ....networks.packages import require
from ....networks.pictures.reading import decode_picture
from .frame import Frame

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_TYPES = {name: kind for kind in (IMAGE, COMPRESSED) for name in (kind, kind.replace("/msg/", "/"))}

# Bytes of a number, numbers of a pixel, and which of these are its red, green and blue, or its luminance.
_ENCODINGS = {
    "mono8": (1, 1, (0,)), "8UC1": (1, 1, (0,)), "mono16": (2, 1, (0,)),
    "rgb8": (1, 3, (0, 1, 2)), "rgba8": (1, 4, (0, 1, 2)), "rgb16": (2, 3, (0, 1, 2)), "rgba16": (2, 4, (0, 1, 2)),
    "bgr8": (1, 3, (2, 1, 0)), "bgra8": (1, 4, (2, 1, 0)), "bgr16": (2, 3, (2, 1, 0)), "bgra16": (2, 4, (2, 1, 0)),
    "8UC3": (1, 3, (2, 1, 0)), "8UC4": (1, 4, (2, 1, 0)),
}  # fmt: skip
# Where luminance, U and V stand in the four bytes of two pixels.
_YUV422 = {"yuv422": (1, 0, 2), "uyvy": (1, 0, 2), "yuv422_yuy2": (0, 1, 3), "yuyv": (0, 1, 3)}

Decode = Callable[[bytes], Any]


class EncodingError(ValueError):
    """An encoding that is not read: no frame of the topic can be judged."""


def image_type(name: str) -> str | None:
    """The ROS 2 name of an image type by its name in ROS 1 or 2; None for another type."""
    return _TYPES.get(name)


def choose_topic(source: object, types: Mapping[str, str], topic: str | None) -> str:
    """The topic to watch. types: {topic: message type} of all there are. Raises ValueError that lists them."""
    pictures = sorted(name for name, kind in types.items() if image_type(kind))
    if topic is not None and topic in pictures:
        return topic
    if not pictures:
        others = ", ".join(f"{name} ({kind})" for name, kind in sorted(types.items()))
        raise ValueError(f"{source}: expected a topic of sensor_msgs/Image or CompressedImage, got {others or 'none'}")
    if topic is not None:
        got = f"one of {types[topic]}" if topic in types else "none of that name"
        raise ValueError(f"{source}: expected pictures in topic {topic}, got {got}; there are {', '.join(pictures)}")
    if len(pictures) > 1:
        raise ValueError(
            f"{source}: expected one topic of pictures, got {', '.join(pictures)}; topic= says which is watched"
        )
    return pictures[0]


def decoder(kind: str, encoding: str) -> Decode:
    """From the bytes of a message to the message. kind: `IMAGE` or `COMPRESSED`. encoding: "cdr" or "ros1"."""
    store = _typestore(encoding)
    read = store.deserialize_ros1 if encoding == "ros1" else store.deserialize_cdr
    return lambda data: read(data, kind)


@cache
def _typestore(encoding: str) -> Any:
    typesys = require("rosbags.typesys", "ROS messages need more packages")
    return typesys.get_typestore(typesys.Stores.ROS1_NOETIC if encoding == "ros1" else typesys.Stores.LATEST)


def read_frames(topic: str, messages: Iterable[tuple[int, Decode, bytes]]) -> Iterator[Frame]:
    """The frames of (nanoseconds, decode, bytes), at the time at which they were recorded, as in `ros2 bag play`.

    The stamp in a message's header is not used: it may come from another clock, be zero, or jump. A broken message is
    a frame with a problem. Raises EncodingError for an encoding that is not read.
    """
    for index, (nanoseconds, decode, data) in enumerate(messages):
        name, picture, problem = f"{topic}[{index}]", None, ""
        try:
            picture = to_picture(decode(data))
        except (EncodingError, ImportError):
            raise
        except Exception as error:  # noqa: BLE001 (bytes from a file: a broken message must not end the watch)
            problem = f"{name}: expected an image message, got {str(error) or type(error).__name__}"
        yield Frame(nanoseconds / 1e9, picture, name, problem=problem)


def whole(
    messages: Iterable[tuple[int, Decode, bytes]], path: object, topic: str, missing: Callable[[], str] = str
) -> Iterator[tuple[int, Decode, bytes]]:
    """The messages up to the first that cannot be read, with a warning where the recording lacks the rest.

    missing: says after the last message what the file lacks, or nothing.
    """
    count = 0
    try:
        for message in messages:
            yield message
            count += 1
        problem = missing()
    except Exception as error:  # noqa: BLE001 (what decompression and parsing raise for damaged bytes)
        problem = str(error) or type(error).__name__
    if problem:
        text = f"{path}: the recording is not whole ({problem}); {count} pictures of {topic} could be read"
        warnings.warn(text, OutriderWarning, stacklevel=2)


def to_picture(message: Any) -> np.ndarray:
    """A sensor_msgs Image or CompressedImage as (1 or 3, height, width) uint8, luminance or RGB.

    Numbers of 16 bits are brought to 8. Three channels without a name (8UC3) are blue, green, red, as in OpenCV.
    Raises EncodingError for an encoding that is not read, ValueError for data that do not fit the message's own sizes.
    """
    if not hasattr(message, "encoding"):
        return decode_picture(bytes(message.data), "the compressed data")
    encoding = message.encoding
    if encoding in _YUV422:
        return _from_yuv422(_rows(message, 2 * message.width), *_YUV422[encoding])
    if encoding not in _ENCODINGS:
        known = ", ".join((*_ENCODINGS, *_YUV422))
        raise EncodingError(f"expected pictures encoded as {known}, got {encoding!r}")
    size, channels, colours = _ENCODINGS[encoding]
    rows = _rows(message, message.width * channels * size)
    if size == 2:
        wide = np.ascontiguousarray(rows).view(">u2" if message.is_bigendian else "<u2").astype(np.uint32)
        rows = ((wide + 128) // 257).astype(np.uint8)
    pixels = rows.reshape(message.height, message.width, channels)
    return np.ascontiguousarray(pixels[:, :, colours].transpose(2, 0, 1))


def _rows(message: Any, needed: int) -> np.ndarray:
    """(height, needed) uint8: the rows without what pads them. The last one may come without its padding."""
    height, step = message.height, message.step
    data = np.frombuffer(message.data, np.uint8)
    if not (height and needed) or step < needed or len(data) < step * (height - 1) + needed:
        raise ValueError(
            f"{len(data)} bytes in rows of {step} for {message.width} x {height} pixels of {message.encoding}"
        )
    return np.lib.stride_tricks.as_strided(data, (height, needed), (step, 1), writeable=False)


def _from_yuv422(rows: np.ndarray, y: int, u: int, v: int) -> np.ndarray:
    """ITU-R BT.601 of limited range, as cameras send it."""
    if rows.shape[1] % 4:
        raise ValueError(f"an odd width, {rows.shape[1] // 2}, for an encoding in pairs of pixels")
    values = rows.astype(np.float32)
    light = 1.164384 * (values[:, y::2] - 16)
    blue, red = (np.repeat(values[:, byte::4] - 128, 2, axis=1) for byte in (u, v))
    colours = light + 1.596027 * red, light - 0.812968 * red - 0.391762 * blue, light + 2.017232 * blue
    return np.clip(np.rint(np.stack(colours)), 0, 255).astype(np.uint8)
