"""What reads changed files: each reader has its seeds, changes one by a number, and says what became of it.

"refused" is an error that the reader promises. "read" is an answer that keeps its promises. Anything else is raised.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from outrider.coverage import (
    Box,
    CoverageBitmap,
    Gaussian,
    HeadCoverage,
    Mahalanobis,
    Margin,
    MultiRange,
    NearestNeighbour,
    NeuronRank,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)
from outrider.monitor import Monitor, ProfileError, Status
from outrider.networks import Network, Observation, Tap, Taps, decode_picture
from outrider.runtime import EventLog, Guard, read_events
from outrider.runtime.inputs.streams import decoder, read_frames

from .mutations import bytes_changed, png_mended, profile_changed

Reader = Callable[[int], str]
INPUTS, HIDDEN, CLASSES = 4, 8, 3
SIDE = 12
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
SHARED = Path("/dev/shm")  # noqa: S108 (memory, where there is such a folder)


class Wrong(Exception):
    """A reader broke a promise: it accepted what was changed, or answered what it must not."""


class Small(Network):
    """logits = W2 relu(W1 x) in numpy."""

    engine, fingerprint, classes, input_shape = "numpy", "5" * 64, CLASSES, (INPUTS,)
    preprocessing = None

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.first = rng.normal(0, 1, (INPUTS, HIDDEN)).astype(np.float32)
        self.second = rng.normal(0, 1, (HIDDEN, CLASSES)).astype(np.float32)
        self.taps = Taps(
            [
                Tap("hidden", "relu", (HIDDEN,), "NC", "float32", "unit"),
                Tap("logits", "output", (CLASSES,), "NC", "float32", "unit"),
            ]
        )

    def run(self, batch: Any) -> np.ndarray:
        return np.asarray(np.maximum(batch @ self.first, 0) @ self.second)

    def observe(self, batch: Any) -> Observation:
        hidden = np.maximum(batch @ self.first, 0)
        logits = hidden @ self.second
        return Observation(logits, logits, (hidden, logits))


CRITERIA: tuple[Any, ...] = (
    {"hidden": SingleRange()}, {"hidden": CoverageBitmap()}, {"hidden": MultiRange(2)},
    {"hidden": [Gaussian(), Mahalanobis()]}, {"hidden": NearestNeighbour(capacity=4)}, {"hidden": NeuronRank(2)},
    {"hidden": HeadCoverage(channels=2, capacity=4), "@output": Softmax()}, {"hidden": SingleRange(quantile=0.1)},
    {"hidden": [Mahalanobis(), RelativeMahalanobis()]}, {"hidden": Pattern(capacity=8)}, {"hidden": Box(capacity=4)},
    {"hidden": SingleRange(), "@output": Margin()},
)  # fmt: skip


class Profiles:
    """Small profiles of every criterion, changed as bytes; `digest`: or in what they hold, with a digest that fits."""

    def __init__(self, folder: Path, *, digest: bool) -> None:
        self.digest, self.network, self.path = digest, Small(), folder / "case.outrider"
        rng = np.random.default_rng(1)
        self.clean = rng.normal(0, 1, (120, INPUTS)).astype(np.float32)
        self.frames = np.concatenate([self.clean[:2], self.clean[:2] * 50, np.full((1, INPUTS), np.nan, np.float32)])
        self.alarms: dict[bytes, np.ndarray] = {}
        for criteria in CRITERIA:
            monitor, data = self._seed(criteria)
            self.alarms[data] = np.asarray(monitor.check(self.frames)[1].alarm)
        self.seeds = list(self.alarms)

    def _seed(self, criteria: Any) -> tuple[Monitor, bytes]:
        monitor = Monitor(self.network, criteria)
        monitor.profile([self.clean], minimum_per_class=1)
        with _at_one_time(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the profile tells its own data")  # 120 frames are few for patterns
            monitor.calibrate([np.random.default_rng(2).normal(0, 1, (120, INPUTS)).astype(np.float32)], 0.1)
        monitor.save(self.path)
        return monitor, self.path.read_bytes()

    def __call__(self, case: int) -> str:
        random = Random(case)  # noqa: S311
        data = random.choice(self.seeds)
        changed = (profile_changed if self.digest else bytes_changed)(data, random, self.seeds)
        if changed == data:
            return "the same"
        self.path.write_bytes(changed)
        try:
            monitor = Monitor.load(self.path, self.network)
        except ProfileError:
            return "refused"
        if not self.digest:
            raise Wrong("a changed profile was accepted")
        return self._judged(monitor, self.alarms[data])

    def _judged(self, monitor: Monitor, alarms: np.ndarray) -> str:
        """What a monitor of changed facts says of clean, far and broken frames: no NaN, and NaN is never covered."""
        if monitor.calibration is None:
            return "read, without a threshold"
        _, verdicts = monitor.check(self.frames)
        for verdict in verdicts:
            if np.isnan(verdict.score) or not np.isfinite(verdict.threshold):
                raise Wrong(f"a score {verdict.score} against {verdict.threshold}")
            if (verdict.status == Status.OK) != (verdict.score <= verdict.threshold) and verdict.status != Status.WARN:
                raise Wrong(f"{verdict.status} for a score {verdict.score} against {verdict.threshold}")
        if verdicts[4].status != Status.FAULT:
            raise Wrong("NaN is no fault")
        return "read, covers what its seed does not" if (alarms & ~verdicts.alarm).any() else "read"


class Pictures:
    """Small pictures of every format and depth; half of the changed PNGs have checksums that fit again."""

    def __init__(self, folder: Path) -> None:
        self.seeds = picture_seeds()

    def __call__(self, case: int) -> str:
        random = Random(case)  # noqa: S311
        changed = bytes_changed(random.choice(self.seeds), random, self.seeds)
        if random.random() < 0.5:
            changed = png_mended(changed)
        try:
            picture = decode_picture(changed, "case")
        except ValueError:
            return "refused"
        _check_picture(picture)
        return "read"


class Messages:
    """Image messages of ROS 1 and 2 in every kind of encoding."""

    def __init__(self, folder: Path) -> None:
        self.seeds = message_seeds()

    def __call__(self, case: int) -> str:
        random = Random(case)  # noqa: S311
        kind, encoding, data = random.choice(self.seeds)
        decode = decoder(kind, encoding)
        changed = bytes_changed(data, random, [other for _, _, other in self.seeds])
        try:
            (frame,) = read_frames("topic", [(0, decode, changed)])
        except ValueError:  # an encoding that is not read, in the first message
            return "refused"
        if frame.problem:
            return "refused"
        _check_picture(frame.picture)
        return "read"


class Logs:
    """An event log of a guard that saw clean, far and broken frames."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "case.jsonl"
        self.seeds = [log_seed(folder)]
        self.path.write_bytes(self.seeds[0])
        if not list(read_events(self.path)):
            raise Wrong("the log that is changed is none itself")

    def __call__(self, case: int) -> str:
        random = Random(case)  # noqa: S311
        self.path.write_bytes(bytes_changed(self.seeds[0], random, self.seeds))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for event in read_events(self.path):
                    repr(event)
            except ValueError:
                return "refused"
        return "read"


@contextmanager
def _at_one_time() -> Iterator[None]:
    """The time that a profile's history says, the same in each run."""
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    try:
        yield
    finally:
        del os.environ["SOURCE_DATE_EPOCH"]
        if before is not None:
            os.environ["SOURCE_DATE_EPOCH"] = before


def _check_picture(picture: Any) -> None:
    good = (
        isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[0] in (1, 3) and picture.size > 0
        and str(picture.dtype) in ("uint8", "uint16", "int32", "float32") and picture.flags.c_contiguous
    )  # fmt: skip
    if not good:
        raise Wrong(f"a picture that is none: {getattr(picture, 'dtype', None)} {getattr(picture, 'shape', None)}")


def picture_seeds() -> list[bytes]:
    from PIL import Image

    rng, seeds = np.random.default_rng(3), []
    rgb = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (SIDE, SIDE), np.uint16))
    whole = Image.fromarray(rng.integers(0, 2**31 - 1, (SIDE, SIDE), np.int32))
    real = Image.fromarray(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32))
    opaque = rgb.copy()
    opaque.putalpha(255)
    for image, form, options in (
        (rgb, "PNG", {}), (rgb.convert("L"), "PNG", {}), (rgb.convert("P"), "PNG", {}), (rgb.convert("1"), "PNG", {}),
        (opaque, "PNG", {}), (deep, "PNG", {}), (rgb, "JPEG", {}), (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "JPEG", {"progressive": True}), (rgb, "BMP", {}), (rgb.convert("P"), "BMP", {}), (rgb, "WEBP", {}),
        (rgb, "WEBP", {"lossless": True}), (rgb, "PPM", {}), (rgb.convert("L"), "PPM", {}), (rgb, "GIF", {}),
        (rgb, "TIFF", {}), (deep, "TIFF", {}), (whole, "TIFF", {}), (real, "TIFF", {}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}), (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (real, "TIFF", {"compression": "tiff_adobe_deflate"}), (rgb.convert("CMYK"), "TIFF", {}),
    ):  # fmt: skip
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        seeds.append(buffer.getvalue())
    return seeds


def message_seeds() -> list[tuple[str, str, bytes]]:
    """(type, serialisation, bytes) of messages."""
    from rosbags.typesys import Stores, get_typestore

    rng, seeds = np.random.default_rng(4), []
    for encoding, store in (("cdr", get_typestore(Stores.LATEST)), ("ros1", get_typestore(Stores.ROS1_NOETIC))):
        types = store.types
        stamp = types["builtin_interfaces/msg/Time"](0, 0)
        extra = {"seq": 0} if encoding == "ros1" else {}
        header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera", **extra)
        write = store.serialize_ros1 if encoding == "ros1" else store.serialize_cdr
        for name, size, rows in (
            ("rgb8", 3, 1), ("mono8", 1, 1), ("mono16", 2, 1), ("bgra8", 4, 1), ("bayer_rggb8", 1, 1), ("16UC1", 2, 1),
            ("32FC1", 4, 1), ("32FC3", 12, 1), ("yuv422", 2, 1), ("yuv422_yuy2", 2, 1), ("nv12", 1, 1.5),
            ("nv21", 1, 1.5),
        ):  # fmt: skip
            data = rng.integers(0, 256, int(SIDE * SIDE * size * rows), np.uint8)
            image = types[IMAGE](header, SIDE, SIDE, name, 0, SIDE * size, data)
            seeds.append((IMAGE, encoding, bytes(write(image, IMAGE))))
        for data, form in zip(picture_seeds()[:7], ("png", "png", "png", "png", "png", "png", "jpeg"), strict=True):
            shown = types[COMPRESSED](header, form, np.frombuffer(data, np.uint8))
            seeds.append((COMPRESSED, encoding, bytes(write(shown, COMPRESSED))))
        depth = np.frombuffer(bytes(12) + picture_seeds()[5], np.uint8)
        shown = types[COMPRESSED](header, "16UC1; compressedDepth png", depth)
        seeds.append((COMPRESSED, encoding, bytes(write(shown, COMPRESSED))))
    return seeds


def log_seed(folder: Path) -> bytes:
    profiles = Profiles(folder, digest=False)
    profiles.path.write_bytes(profiles.seeds[0])
    path = folder / "seed.jsonl"
    path.unlink(missing_ok=True)
    with EventLog(path) as log, Guard(Monitor.load(profiles.path, profiles.network), log=log) as guard:
        for frame in (*profiles.frames, *profiles.frames[::-1]):
            with suppress(ValueError):
                guard(frame)
    return _NUMBER.sub(_plain, _NAMED.sub(_named, _COUNTED.sub(rb"\1[[28,1]]", path.read_bytes())))


_COUNTED = re.compile(rb'("latency[a-z_]*":)\[\[[^"]*\]\]')
_NAMED = re.compile(rb'"(run|time)":"[^"]+"')
_NUMBER = re.compile(rb"(?<=[:,\[])[0-9][0-9.e-]*")


def _named(text: re.Match[bytes]) -> bytes:
    """One run and one time of day."""
    return b'"run":"' + b"0" * 32 + b'"' if text[1] == b"run" else b'"time":"2026-01-01T00:00:00.000000Z"'


def _plain(number: re.Match[bytes]) -> bytes:
    """A number that is the same in each run: no time of day, no time that something took."""
    if b"." in number[0] or b"e" in number[0]:
        return b"0.5"
    return b"1234567890123" if len(number[0]) > 5 else number[0]


def work_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is one: a case is a file written and read."""
    return tempfile.TemporaryDirectory(prefix="fuzz-", dir=SHARED if os.access(SHARED, os.W_OK) else None)


READERS: dict[str, Callable[[Path], Reader]] = {
    "profiles": lambda folder: Profiles(folder, digest=False),
    "profiles with a digest that fits": lambda folder: Profiles(folder, digest=True),
    "pictures": Pictures,
    "messages": Messages,
    "logs": Logs,
}
