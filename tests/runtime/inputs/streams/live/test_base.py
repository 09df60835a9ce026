"""The thread that takes, the one picture that waits, and what is told of the rest."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs.streams.live import base
from outrider.runtime.inputs.streams.live.base import Taken

from .told import Told


def number(what):
    """A picture of one number."""
    if what < 0:
        raise ValueError("rtsp://me:secret@host is below zero")
    return np.full((1, 2, 2), what, np.uint8)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(base, "_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(base, "_TICK_SECONDS", 0.01)


@pytest.fixture
def told():
    made = []

    def make(*first, **options):
        made.append(Told(*first, picture=number, **options))
        return made[-1]

    yield make
    for stream in made:
        stream.close()


def pictures(frames, n):
    """The values of the next n frames that are none of the waiting."""
    found = []
    while len(found) < n:
        frame = next(frames)
        found += [frame] * (frame is not None)
    return [None if frame.picture is None else int(frame.picture[0, 0, 0]) for frame in found]


def test_only_the_newest_waits_and_the_others_are_counted(told):
    stream = told(1)
    stream.tell(2, 3)  # before anybody asked: none of these was missed
    frames = iter(stream)
    assert pictures(frames, 1) == [3]
    assert stream.dropped == 0
    stream.tell(4, 5, 6, 7)
    assert pictures(frames, 1) == [7]
    assert stream.dropped == 3
    stream.tell(8)
    assert pictures(frames, 1) == [8]
    assert stream.dropped == 3


def test_what_the_way_lost_is_counted_too(told):
    stream = told(1, lost=[0, 0, 5])
    frames = iter(stream)
    assert pictures(frames, 1) == [1]
    stream.tell(2, 3)
    assert pictures(frames, 1) == [3]
    assert stream.dropped == 6


def test_an_end_is_a_reconnect_once_it_is_over(told):
    stream = told(1)
    frames = iter(stream)
    assert pictures(frames, 1) == [1]
    stream.tell(None, OSError("Rtsp://me:secret@host refused"), OSError("Refused"))
    assert next(frames) is None
    assert stream.reconnects == 0
    stream.tell(2)
    with pytest.warns(OutriderWarning, match=r"^told is there again after [\d.]+ s \(refused\)$"):
        assert pictures(frames, 1) == [2]
    assert (stream.reconnects, stream.dropped) == (1, 0)


def test_a_broken_picture_is_a_frame_with_a_problem_and_no_return(told):
    stream = told(1)
    frames = iter(stream)
    assert pictures(frames, 1) == [1]
    stream.tell(OSError("gone"), Taken(None, "garbage"))
    frame = next(item for item in frames if item)
    assert (frame.picture, frame.problem, stream.reconnects) == (None, "told[1]: garbage", 0)
    stream.tell(-1)
    with pytest.warns(OutriderWarning, match="there again"):
        frame = next(item for item in frames if item)
    assert frame.picture is None
    assert frame.problem == "told[2]: rtsp://***@host is below zero"


def test_times_and_stamps_of_the_source_are_kept(told):
    stream = told(Taken(1, time=1e9, stamp_ns=10**18 + 1))
    frame = next(iter(stream))
    assert (frame.time, frame.stamp_ns, frame.name) == (1e9, 10**18 + 1, "told[0]")
    assert frame.captured is not None


def test_patience_ends(told):
    stream = told(1, patience=0.05)
    stream.tell(OSError("Connection refused"))
    with pytest.warns(OutriderWarning, match=r"^told gave no picture for 0.05 s: connection refused$"):
        first, *rest = list(stream)
    assert first.picture[0, 0, 0] == 1
    assert set(rest) == {None}


def test_endless_waits_on(told):
    stream = told(1, patience=0.02)
    frames = stream.endless()
    assert pictures(frames, 1) == [1]
    assert [next(frames) for _ in range(6)] == [None] * 6


def test_a_source_that_does_not_open_or_give_is_refused(told):
    with pytest.raises(ValueError, match=r"^told: expected pictures, got no such device$"):
        told(OSError(19, "No such device"))
    with pytest.raises(ValueError, match=r"^told: expected pictures, got no picture for 0.02 s$"):
        told(patience=0.02)
