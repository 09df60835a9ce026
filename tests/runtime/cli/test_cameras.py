"""The cameras of a watch, from the command line and from a file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from outrider.runtime.cli import cameras as module
from outrider.runtime.cli.cameras import CameraSettings, cameras_of, opened
from outrider.runtime.cli.options.running import cameras_file
from outrider.runtime.inputs import streams


def options(profile, source=None, **given):
    flags = {"topic": None, "rate": None, "silence": None, "deadline": None} | given
    return Namespace(profile=Path(profile), source=source, settings_in=cameras_file, **flags)


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "cameras.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_one_source_is_one_camera_without_a_name():
    asked = options("net.outrider", "0", topic="/a", silence=0.5)
    assert cameras_of(asked) == {"": CameraSettings("", "0", "/a", None, 0.5, None)}


def test_a_file_names_cameras_with_settings_of_their_own(file):
    path = file(
        "profile: net.outrider\ncameras:\n  front: rtsp://me:secret@host/1\n"
        "  left: {source: drive.mcap, topic: /left, rate: 10, silence: 0.5, deadline: 0.1}\n"
    )
    asked = options(path, rate=25.0, silence=2.0)
    assert cameras_of(asked) == {
        "front": CameraSettings("front", "rtsp://me:secret@host/1", None, 25.0, 2.0, None),
        "left": CameraSettings("left", "drive.mcap", "/left", 10.0, 0.5, 0.1),
    }
    assert asked.profile == Path("net.outrider")
    asked = options("other.outrider", str(path))
    assert list(cameras_of(asked)) == ["front", "left"]
    assert asked.profile == Path("other.outrider")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cameras: {a: '0'}", "cameras.yaml: expected `profile:` in it, or PROFILE before it, got neither"),
        ("profile: p", "expected `cameras:` with lines of the form `name: source`, got nothing"),
        ("profile: p\ncameras: [a, b]", r"of the form `name: source`, got \['a', 'b'\]"),
        ("profile: [p]\ncameras: {a: '0'}", r"profile: expected the name of a file, got \['p'\]"),
        ("profile: p\ncameras: {a: }", "camera a: expected a source, or settings with `source:`, got nothing"),
        ("profile: p\ncameras: {a: {rate: 3}}", "camera a: expected a source, or settings with `source:`, got"),
        ("profile: p\ncameras: {a: {source: x, rat: 3}}", "camera a: unknown key 'rat'; did you mean rate?"),
        (
            "profile: p\ncameras: {a: {source: x, latch: true}}",
            "unknown key 'latch'; known are source, topic, rate, ",
        ),
        ("profile: p\ncameras: {a: {source: x, rate: -3}}", "camera a: rate: expected a number above 0, got '-3'"),
        ("profile: p\ncameras: {a: {source: x, rate: [3]}}", r"camera a: rate: expected a value, got \['3'\]"),
        ("profile: p\ncameras: {'': x}", "expected a name for each camera, got an empty one"),
        ("profile: p\ncameras: {a: x, a: y}", "expected YAML, got 'a' for the second time"),
    ],
)
def test_what_is_wrong_is_named(file, text, message):
    with pytest.raises(ValueError, match=message):
        cameras_of(options(file(text)))


def test_a_topic_is_of_one_camera(file):
    with pytest.raises(ValueError, match=r"expected topic= only for one source, got .*cameras.yaml; each camera"):
        cameras_of(options(file("profile: p\ncameras: {a: x}"), topic="/a"))


class Stream:
    def __init__(self, live):
        self.live, self.closed = live, False

    def close(self):
        self.closed = True


def test_every_camera_that_cannot_be_opened_is_named(monkeypatch):
    made = []

    def open_stream(source, **settings):
        if source.startswith("bad"):
            raise OSError(f"{source}: no such thing")
        made.append((source, settings, Stream(live=True)))
        return made[-1][-1]

    monkeypatch.setattr(streams, "open_stream", open_stream)
    several = {name: CameraSettings(name, source) for name, source in (("a", "bad1"), ("b", "good"), ("c", "bad2"))}
    with pytest.raises(ValueError, match=r"^camera a: bad1: no such thing; camera c: bad2: no such thing$"):
        opened(several)
    assert made[0][-1].closed
    one = opened({"": CameraSettings("", "good", "/t", 5.0, 0.5)})
    assert made[-1][:2] == ("good", {"topic": "/t", "rate": 5.0, "patience": 5.0})
    assert list(one) == [""]
    with pytest.raises(OSError, match=r"^bad: no such thing$"):
        opened({"": CameraSettings("", "bad")})


def test_what_is_live_is_silent_after_a_second():
    assert CameraSettings("a", "0").silence_of(Stream(live=True)) == 1.0
    assert CameraSettings("a", "0").silence_of(Stream(live=False)) is None
    assert CameraSettings("a", "0", silence=0.2).silence_of(Stream(live=False)) == 0.2
    assert module.PATIENCE > 1
