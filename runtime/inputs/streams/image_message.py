"""sensor_msgs/Image and CompressedImage as pictures, whichever file they come from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from ....monitor import OutriderWarning
from ....networks.packages import require
from .encodings.pictures import to_picture
from .encodings.rows import EncodingError
from .frame import Frame

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_TYPES = {name: kind for kind in (IMAGE, COMPRESSED) for name in (kind, kind.replace("/msg/", "/"))}

Decode = Callable[[bytes], Any]


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
    a frame with a problem. Raises EncodingError where the first one has an encoding that is not read.
    """
    for index, (nanoseconds, decode, data) in enumerate(messages):
        name, picture, problem = f"{topic}[{index}]", None, ""
        try:
            picture = to_picture(decode(data))
        except ImportError:
            raise
        except Exception as error:
            if isinstance(error, EncodingError) and not index:
                raise
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
