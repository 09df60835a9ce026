"""A Rerun recording, read back by Rerun."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rerun")
chunk = pytest.importorskip("rerun.chunk")  # newer than what a recording needs
pillow = pytest.importorskip("PIL.Image")

from outrider.monitor import Status, Verdict  # noqa: E402
from outrider.monitor.places import Places  # noqa: E402
from outrider.networks import Preprocessing  # noqa: E402
from outrider.runtime.inputs.streams import Frame  # noqa: E402
from outrider.runtime.loop.watch import WatchedFrame  # noqa: E402
from outrider.runtime.outlets.recording import Recording  # noqa: E402

NOTHING = np.zeros(1, np.float32)


def seen(number, picture, status=Status.OK, score=0.5, threshold=1.0, reason="", drift=""):
    verdict = Verdict(status, score, threshold, 0.75, -1, NOTHING, (), reason)
    return WatchedFrame(number, number / 8, Frame(1e9 + number, picture, "frame"), verdict, 0.002, drift)


def rows(path, entity):
    """(frame, seconds, first value) of everything that was logged to an entity, in order."""
    found = []
    for part in chunk.RrdReader(path).stream():
        if part.entity_path == f"/{entity}" and "frame" in part.timeline_names:
            batch = part.to_record_batch()
            component = next(name for name in batch.schema.names if name.split(":")[-1] in ("blob", "scalars", "text"))
            seconds = batch.column("seconds").cast("int64").to_pylist()
            values = [value[0] for value in batch.column(component).to_pylist()]
            found += zip(batch.column("frame").to_pylist(), (s / 1e9 for s in seconds), values, strict=True)
    return found


def test_what_the_network_saw_is_there_with_its_map(path):
    values = np.zeros((4, 6), np.float32)
    values[1:3, 2:5] = 8
    sample = smooth((3, 40, 60), 100).astype(np.float32) / 255
    plain = seen(1, smooth((3, 80, 80), 100))
    of_places = plain.verdict._replace(places=Places(values, 1.0, (40, 60)))
    with Recording(path, "a title", preprocessing=Preprocessing(scale=1 / 255), places=True) as recording:
        recording.seen(replace(plain, sample=sample))
        recording.seen(replace(plain, number=2, sample=sample, verdict=of_places))
        recording.seen(replace(plain, number=3, verdict=of_places))
    ((frame, _, drawn),) = rows(path, "monitor/places")
    assert frame == 2
    pixels = np.asarray(pillow.open(io.BytesIO(bytes(drawn)))).astype(int)
    assert pixels.shape == (40, 60, 3)
    assert pixels[20, 35, 0] > pixels[20, 35, 2] + 40
    assert abs(pixels[35, 5] - 100).max() < 5


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.rrd"


def smooth(shape, value):
    return np.full(shape, value, np.uint8)


def test_every_frame_is_there_with_its_numbers(path):
    pictures = [smooth((3, 16, 24), 10 * number) for number in range(1, 21)]
    pictures[4] = smooth((1, 16, 24), 200)
    with Recording(path, "a title") as recording:
        for number, picture in enumerate(pictures, 1):
            recording.seen(seen(number, picture, score=number / 7, threshold=2.0))
    times = [(number, number / 8) for number in range(1, 21)]
    assert rows(path, "monitor/score") == [(*when, when[0] / 7) for when in times]
    assert rows(path, "monitor/threshold") == [(*when, 2.0) for when in times]
    assert rows(path, "monitor/status") == [(*when, 0.0) for when in times]
    images = rows(path, "camera")
    assert [(frame, seconds) for frame, seconds, _ in images] == times
    for (_, _, blob), picture in zip(images, pictures, strict=True):
        image = pillow.open(io.BytesIO(bytes(blob)))
        assert image.format == "JPEG"
        assert image.mode == ("L" if len(picture) == 1 else "RGB")
        pixels = np.asarray(image).reshape(16, 24, -1).transpose(2, 0, 1)
        assert np.abs(pixels.astype(int) - picture).max() <= 2


def test_the_channels_are_in_their_order(path):
    picture = np.stack([smooth((32, 32), value) for value in (250, 120, 10)])
    with Recording(path, "a title") as recording:
        recording.seen(seen(1, picture))
    ((_, _, blob),) = rows(path, "camera")
    assert np.abs(np.asarray(pillow.open(io.BytesIO(bytes(blob))))[16, 16] - [250.0, 120, 10]).max() <= 4


def test_changes_of_status_are_told(path):
    picture = smooth((3, 8, 8), 0)
    with Recording(path, "a title") as recording:
        recording.seen(seen(1, picture))
        recording.idle(Status.OK)
        recording.seen(seen(2, picture, Status.ALARM, 3.0, reason="score 3 is above the threshold 1"))
        recording.seen(seen(3, picture, Status.ALARM, 4.0, reason="another"))
        recording.seen(seen(4, picture))
        recording.idle(Status.STALE)
        recording.seen(seen(5, picture, Status.STALE, drift="calibration no longer holds: 9 of 10"))
    assert [(frame, text) for frame, _, text in rows(path, "monitor/events")] == [
        (2, "OK -> ALARM  score 3 is above the threshold 1"),
        (4, "ALARM -> OK"),
        (4, "OK -> STALE  no frame"),
        (5, "calibration no longer holds: 9 of 10"),
    ]
    assert [value for _, _, value in rows(path, "monitor/status")] == [0, 2, 2, 0, 4, 4]


def test_what_is_no_number_or_no_picture_is_left_out(path):
    with Recording(path, "a title") as recording:
        recording.seen(seen(1, None, Status.FAULT, np.inf, np.nan, "cannot be read"))
        recording.seen(seen(2, smooth((3, 8, 8), 0)))
    for entity, frames in (
        ("camera", [2]),
        ("monitor/score", [2]),
        ("monitor/threshold", [2]),
        ("monitor/status", [1, 2]),
    ):
        assert [frame for frame, _, _ in rows(path, entity)] == frames


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none/run.rrd: expected a folder to write to, got no such folder"):
        Recording(tmp_path / "none" / "run.rrd", "a title")


def test_a_watch_records(outrider, calibrated, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)
    (tmp_path / "photos").mkdir()
    for row, picture in enumerate(noise):
        pillow.fromarray(picture).save(tmp_path / "photos" / f"{row}.png")
    assert outrider("watch", calibrated, "photos", "--record", "run.rrd", "--rate", "100").code == 1
    scores = rows(tmp_path / "run.rrd", "monitor/score")
    assert [frame for frame, _, _ in scores] == [1, 2, 3, 4, 5]
    assert [seconds for _, seconds, _ in scores] == pytest.approx([row / 100 for row in range(5)])
    assert [text[:12] for _, _, text in rows(tmp_path / "run.rrd", "monitor/events")] == ["OK -> ALARM "]


def test_streams_stand_side_by_side(path):
    with Recording(path, "a title", ["left", "rear right"]) as recording:
        for stream, status in (("left", Status.ALARM), ("rear right", Status.OK)):
            one = seen(1, smooth((1, 16, 24), 9), status)
            recording.seen(replace(one, stream=stream))
        recording.idle(Status.STALE, "rear right")
    assert [value for *_, value in rows(path, "left/monitor/status")] == [2.0]
    assert [value for *_, value in rows(path, "rear_right/monitor/status")] == [0.0, 4.0]
    assert len(rows(path, "rear_right/camera")) == 1
