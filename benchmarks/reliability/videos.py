"""Damaged videos: `python -m benchmarks.reliability.videos` counts the damaged frames that pass as whole.

Videos of a scene that moves past are encoded here, damaged in ways that disks and radio links know, and read by the
stream that `outrider watch` reads. A frame counts as wrong where its numbers differ from every frame of the undamaged
video. It `passes` where the stream gives it without a problem.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from outrider.runtime.inputs.streams import open_stream

from ..results import keep
from ..tables import show
from .tables import videos

HEIGHT, WIDTH, FRAMES, GROUP = 240, 320, 100, 25
CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "H.264": ("libx264", "yuv420p", {}),
    "H.264, baseline": ("libx264", "yuv420p", {"profile": "baseline"}),
    "H.265": ("libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "H.265 with hashes": ("libx265", "yuv420p", {"x265-params": "log-level=none:hash=1"}),
    "MPEG-4": ("mpeg4", "yuv420p", {"qscale": "4"}),
    "MJPEG": ("mjpeg", "yuvj420p", {}),
    "VP9": ("libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
    "FFV1": ("ffv1", "yuv420p", {"level": "3", "slicecrc": "1"}),
}


def scene() -> Iterator[np.ndarray]:
    """Pictures (height, width, 3) uint8: smooth colours that move past, and a sensor's noise."""
    import cv2

    rng = np.random.default_rng(0)
    width = WIDTH + 4 * FRAMES
    whole = cv2.resize(rng.random((HEIGHT // 16, width // 16, 3)) * 255, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for row in range(FRAMES):
        picture = whole[:, 4 * row : 4 * row + WIDTH] + rng.integers(-4, 5, (HEIGHT, WIDTH, 1))
        yield np.clip(picture, 0, 255).astype(np.uint8)


def write_video(path: Path, codec: str, pixel_format: str, options: dict[str, str]) -> None:
    """A video with a key frame in every `GROUP` frames."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.codec_context.gop_size = GROUP
        for picture in scene():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def _overwritten(size: int, content: Callable[[np.random.Generator, int], bytes]) -> Callable[..., bytes]:
    def damage(data: bytes, rng: np.random.Generator) -> bytes:
        at = int(rng.integers(len(data) // 8, len(data) * 7 // 8))
        return data[:at] + content(rng, size) + data[at + size :]

    return damage


def one_bit(data: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(data) // 8, len(data) * 7 // 8))
    return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]


DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "one bit": one_bit,
    "64 bytes of noise": _overwritten(64, lambda rng, size: rng.bytes(size)),
    "1,000 bytes of noise": _overwritten(1000, lambda rng, size: rng.bytes(size)),
    "512 bytes of zeros": _overwritten(512, lambda _rng, size: bytes(size)),
}


def watched(path: Path, clean: set[bytes]) -> dict[str, int]:
    """How many frames of a video are right, are faults, or are wrong and pass."""
    counts = {"right": 0, "faults": 0, "passed": 0}
    stream = open_stream(str(path))
    for frame in stream:
        if frame is None or frame.picture is None:
            counts["faults"] += 1
        else:
            counts["right" if frame.picture.tobytes() in clean else "passed"] += 1
    stream.close()
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="damaged copies of each; default: 20")
    parser.add_argument("--keep", action="store_true", help="write the raw figures for the report")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for codec, settings in CODECS.items():
            path = Path(name) / "video.mkv"
            write_video(path, *settings)
            data = path.read_bytes()
            stream = open_stream(str(path))
            clean = {frame.picture.tobytes() for frame in stream if frame is not None and frame.picture is not None}
            stream.close()
            for damage, change in DAMAGES.items():
                total = {"right": 0, "faults": 0, "passed": 0}
                for seed in range(options.trials):
                    path.write_bytes(change(data, np.random.default_rng(seed)))
                    for key, count in watched(path, clean).items():
                        total[key] += count
                rows.append({"codec": codec, "damage": damage, "bytes": len(data), **total})
    figures = {"frames": FRAMES, "trials": options.trials, "group": GROUP, "rows": rows}
    show(videos(figures))
    if options.keep:
        keep("videos", figures)


if __name__ == "__main__":
    main()
