"""Pictures and image messages, and files that hold them."""

from __future__ import annotations

import io

import numpy as np
import pytest

STAMP = 1_700_000_000  # seconds since 1970
HEIGHT, WIDTH = 6, 10
HEIGHT, WIDTH = 6, 10


def colours(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, HEIGHT, WIDTH, 3), np.uint8)


def pictures_of(stream):
    return [frame.picture.transpose(1, 2, 0) for frame in stream]


def image(ros, pixels, encoding="rgb8", *, stamp=0.0, padding=0, big=False, **changes):
    """A message of an array (height, width[, channels]), rows padded with bytes that are no pixels."""
    pixels = np.asarray(pixels)
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    fields = {
        "height": pixels.shape[0], "width": pixels.shape[1], "encoding": encoding, "is_bigendian": int(big),
        "step": rows.shape[1], "data": rows.reshape(-1),
    } | changes  # fmt: skip
    return ros.Image(header(ros, stamp), **fields)


def header(ros, stamp):
    seconds = int(stamp)
    return ros.Header(stamp=ros.Time(sec=seconds, nanosec=round((stamp - seconds) * 1e9)), frame_id="camera")


def compressed(ros, pixels, kind="PNG"):
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pillow.fromarray(pixels).save(file, kind)
    return ros.CompressedImage(header(ros, 0.0), kind.lower(), np.frombuffer(file.getvalue(), np.uint8))


def write_mcap(ros, path, messages, **options):
    """messages: (topic, seconds, message). Options as for mcap's Writer."""
    mcap = pytest.importorskip("mcap.writer")
    with path.open("wb") as file:
        writer = mcap.Writer(file, **options)
        writer.start("ros2", "test")
        channels = {}
        for topic, seconds, message in messages:
            kind = message.__msgtype__
            if topic not in channels:
                schema = writer.register_schema(kind, "ros2msg", b"")
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            nanoseconds = round(seconds * 1e9)
            data = bytes(ros.store.serialize_cdr(message, kind))
            writer.add_message(channels[topic], nanoseconds, data, nanoseconds)
        writer.finish()
    return path


def write_bag(ros, path, messages, storage="SQLITE3", *, compress=False):
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    bag = rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin[storage])
    if compress:
        bag.set_compression(rosbag2.CompressionMode.MESSAGE, rosbag2.CompressionFormat.ZSTD)
    with bag as writer:
        connections = {}
        for topic, seconds, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=ros.store)
            writer.write(connections[topic], round(seconds * 1e9), ros.store.serialize_cdr(message, kind))
    return path


RGB = colours(1)[0]
LIGHT = RGB[:, :, 0]


def drive(ros, n=5, **options):
    """n pictures of /camera, a tenth of a second apart, with other messages between them."""
    pixels = colours(n)
    messages = []
    for row, picture in enumerate(pixels):
        seconds = STAMP + row / 10
        messages.append(("/camera", seconds, image(ros, picture, stamp=seconds - 0.02, **options)))
        messages.append(("/odometry", seconds + 0.03, ros.String(data="elsewhere")))
    return pixels, messages
