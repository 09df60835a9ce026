"""Videos that are made here, and ways to damage a file."""

from __future__ import annotations

import numpy as np
import pytest


def write_video(path, pixels, codec="ffv1", rate=25, pixel_format=None, gop=None, **options):
    """A video of pictures (height, width[, 3]) uint8."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = pixels[0].shape[:2]
        usual = {"ffv1": "bgr0", "mjpeg": "yuvj420p"}
        stream.pix_fmt = pixel_format or usual.get(codec, "yuv420p")
        if gop is not None:
            stream.codec_context.gop_size = gop
        for picture in pixels:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24" if picture.ndim == 3 else "gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def drive(count, height=96, width=160):
    """Pictures of a textured scene that moves past."""
    rng = np.random.default_rng(3)
    scene = rng.integers(0, 256, (height // 8 + 1, width // 8 + count, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    return [np.ascontiguousarray(scene[:height, 3 * row : 3 * row + width]) for row in range(count)]


def _noise(data, rng):
    """64 bytes of noise somewhere in the middle half."""
    at = int(rng.integers(len(data) // 4, 3 * len(data) // 4))
    return data[:at] + rng.bytes(64) + data[at + 64 :]


def _zeros(data, rng):
    """A sector of a disk that reads as zeros."""
    at = int(rng.integers(len(data) // 4, 3 * len(data) // 4))
    return data[:at] + bytes(512) + data[at + 512 :]


def _flip(data, rng):
    """One bit."""
    at = int(rng.integers(len(data) // 4, 3 * len(data) // 4))
    return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]


DAMAGES = {"noise": _noise, "zeros": _zeros, "flip": _flip}
