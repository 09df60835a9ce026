"""Pictures, videos and messages that are broken, through the readers and a watch. See `injection`."""

from __future__ import annotations

import io
import struct
import types

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("PIL")

from PIL import Image

from outrider.monitor import OutriderWarning
from outrider.networks import Preprocessing
from outrider.runtime.inputs.streams import Folder, Frame
from outrider.runtime.inputs.streams.image_message import read_frames
from outrider.runtime.inputs.streams.video import Video
from outrider.runtime.loop.watch import Watch

from ..small_network import CLEAN
from .injection import FAULT, OK, Failures

FAILURES = Failures()
BYTES = np.rint(CLEAN[0] * 255).astype(np.uint8)
WIDE = np.rint(CLEAN[0] * 4095).astype(np.uint16)
GOOD = Frame(0.0, BYTES[None], "good")
LIKE = Preprocessing(size=(4, 4), order="L")


class Statuses(list):
    """What a view was shown: (status, reason) of every frame."""

    def seen(self, seen):
        self.append((seen.verdict.status, seen.verdict.reason))

    def idle(self, _status):
        pass


def watched(scene, frames, preprocessing=LIKE, first=GOOD, last=GOOD):
    """(status, reason) of every frame between a good one and another."""
    guard = scene.start()
    seen = Statuses()
    watch = Watch(guard, preprocessing, [seen])
    for frame in (first, *frames, last):
        watch.step(frame)
    assert (seen[0][0], seen[-1][0]) == (OK, OK)
    assert watch.alarmed is any(status >= FAULT for status, _ in seen)
    scene.flush()
    unreadable = [event for event in scene.events() if event.kind == "unreadable"]
    assert len(unreadable) == sum(status == FAULT and "the frame" not in why for status, why in seen)
    return seen[1:-1]


def saved(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


TWO_PAGES = {"save_all": True, "append_images": [Image.fromarray(BYTES)]}
CLEAR = np.stack([BYTES] * 3 + [BYTES // 2], axis=2)
PICTURES = {
    "a picture cut short": (saved(BYTES)[:-20], "png", "expected a picture, got"),
    "a picture with a flipped bit": (flipped(saved(BYTES), 45), "png", "the checksum of IDAT differs"),
    "a picture that is a text": (b"hello", "png", "expected a picture, got 5 bytes"),
    "an empty picture file": (b"", "jpg", "expected a picture, got an empty file"),
    "a picture of several pages": (saved(BYTES, "TIFF", **TWO_PAGES), "tif", "several frames or pages"),
    "a transparent picture": (saved(CLEAR), "png", "transparent"),
}  # fmt: skip


def picture_failure(name):
    data, suffix, reason = PICTURES[name]

    @FAILURES(name)
    def _(scene):
        folder = scene.folder / "photos"
        folder.mkdir()
        (folder / f"0.{suffix}").write_bytes(data)
        ((status, why),) = watched(scene, Folder(folder, 30.0))
        assert status == FAULT
        assert reason in why
        assert why.startswith(str(folder))


for each in PICTURES:
    picture_failure(each)


@FAILURES("a picture that is gone when its turn comes")
def _(scene):
    folder = scene.folder / "photos"
    folder.mkdir()
    (folder / "0.png").write_bytes(saved(BYTES))
    stream = Folder(folder, 30.0)
    (folder / "0.png").unlink()
    assert watched(scene, stream)[0][0] == FAULT


@FAILURES("a folder that links to itself")
def _(scene):
    folder = scene.folder / "photos"
    folder.mkdir()
    (folder / "0.png").write_bytes(saved(BYTES))
    (folder / "loop").symlink_to(folder)
    assert [status for status, _ in watched(scene, Folder(folder, 30.0))] == [OK]


@FAILURES("a picture of 16 bits that is brighter than white")
def _(scene):
    deep = Preprocessing(size=(4, 4), order="L", white=4095)
    good = Frame(0.0, WIDE[None], "good")
    bright = Frame(1.0, np.full((1, 4, 4), 4096, np.uint16) + WIDE, "bright")
    ((status, why),) = watched(scene, [bright], deep, good, good)
    assert status == FAULT
    assert "expected a picture of numbers from 0 to 4095" in why


@FAILURES("a picture of bytes for a profile of 12 bits")
def _(scene):
    deep = Preprocessing(size=(4, 4), order="L", white=4095)
    good = Frame(0.0, WIDE[None], "good")
    ((status, why),) = watched(scene, [GOOD], deep, good, good)
    assert status == FAULT
    assert "expected pictures whose white is 4,095" in why or "expected pictures whose white is 4095" in why


def message(pixels, encoding, **changes):
    height, width = pixels.shape[:2]
    fields = {"height": height, "width": width, "encoding": encoding, "is_bigendian": 0, "data": pixels.tobytes(),
              "step": pixels.nbytes // height}  # fmt: skip
    return types.SimpleNamespace(**(fields | changes))


def from_messages(*messages):
    return read_frames("/camera", [(0, lambda one: one, one) for one in messages])


NAN = np.where(BYTES < 128, np.float32(0.5), np.float32("nan"))
MESSAGES = {
    "a message whose rows are short": (message(BYTES, "mono8", step=3), "encoding mono8: 16 bytes in rows of 3"),
    "a message without its end": (message(BYTES, "mono8", data=BYTES.tobytes()[:-1]), "encoding mono8: 15 bytes"),
    "a message with huge sizes": (message(BYTES, "mono8", height=2**32 - 1), "encoding mono8: 16 bytes"),
    "a message in an encoding of noise": (message(BYTES, "mono\x07"), "expected pictures encoded as mono8"),
    "a mosaic of odd size": (message(BYTES[:3], "bayer_rggb8"), "expected even sizes"),
    "a compressed message that is torn": (
        types.SimpleNamespace(format="png", data=saved(BYTES)[:-20]), "expected a picture, got",
    ),
    "depth that is no picture": (
        types.SimpleNamespace(format="16UC1; compressedDepth png", data=bytes(30)), "compressedDepth",
    ),
    "depth that was not measured": (message(NAN, "32FC1"), "the frame holds NaN or Inf"),
    "compressed depth that was not measured": (
        types.SimpleNamespace(format="32FC1; compressedDepth png", data=struct.pack("<iff", 0, 1.0, -1e9)
                              + saved(np.where(np.isnan(NAN), 0, WIDE).astype(np.uint16))),
        "the frame holds NaN or Inf",
    ),
}  # fmt: skip


def message_failure(name):
    broken, reason = MESSAGES[name]

    @FAILURES(name)
    def _(scene):
        _, frame = from_messages(message(BYTES, "mono8"), broken)
        good = Frame(0.0, (BYTES / np.float32(255))[None], "good")
        ((status, why),) = watched(scene, [frame], Preprocessing(size=(4, 4), order="L", white=1.0), good, good)
        assert status == FAULT
        assert reason in why


for each in MESSAGES:
    message_failure(each)


def video(folder):
    """A video of 30 frames with two key frames, and where the bytes of each packet lie."""
    av = pytest.importorskip("av")
    path = folder / "drive.mkv"
    rng = np.random.default_rng(5)
    scene = rng.integers(0, 256, (64, 160, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.gop_size = 15
        for row in range(30):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(scene[:, 3 * row : 3 * row + 64]), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    return path, packets


@FAILURES("a damaged packet of H.264")
def _(scene):
    path, packets = video(scene.folder)
    clean = [frame.picture for frame in Video(path)]
    assert len(clean) == 30
    data, broken = path.read_bytes(), packets[5]
    path.write_bytes(data.replace(broken, broken[:8] + bytes(len(broken) - 8)))
    frames = list(Video(path))
    whole = [row for row, frame in enumerate(frames) if frame.picture is not None]
    assert whole == [0, 1, 2, 3, 4, *range(15, 30)]
    assert all(np.array_equal(frames[row].picture, clean[row]) for row in whole)
    damaged = [frame for frame in frames if frame.problem]
    assert [status for status, _ in watched(scene, damaged)] == [FAULT] * 10


@FAILURES("a video cut off within a packet")
def _(scene):
    path, packets = video(scene.folder)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(packets[20]) + len(packets[20]) // 2])
    frames = list(Video(path))
    assert [frame.problem for frame in frames[:20]] == [""] * 20
    assert all(frame.picture is None for frame in frames[20:])
    if frames[20:]:
        assert {status for status, _ in watched(scene, frames[20:])} == {FAULT}
    else:
        scene.start()


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.filterwarnings(f"ignore::{OutriderWarning.__module__}.{OutriderWarning.__qualname__}")
def test_failure(scene, name):
    FAILURES[name](scene)
    scene.finish()
