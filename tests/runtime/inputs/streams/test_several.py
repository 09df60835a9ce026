"""Several streams at once: live ones and recordings, and those of them that die."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs.streams import Frame, several
from outrider.runtime.inputs.streams.live import base
from outrider.runtime.inputs.streams.live.base import Live, Taken
from outrider.runtime.inputs.streams.several import Several

SOON = 30.0


class Given(Live):
    """A live source that gives what a test puts into it."""

    def __init__(self, patience=SOON):
        super().__init__("given", patience)
        self.go, self.value, self.fails = threading.Semaphore(1), 0, False
        self._begin()

    def _items(self):
        while not self._stop.is_set():
            if self.go.acquire(timeout=0.01):
                if self.fails:
                    raise OSError("unplugged")
                self.value += 1
                yield Taken(self.value)

    def _picture(self, what):
        return np.full((1, 1, 1), what, np.uint8)


class Recording:
    live, dropped, reconnects = False, 0, 0

    def __init__(self, n, error=None, step=0.0):
        self.n, self.error, self.step, self.closed = n, error, step, False

    def __iter__(self):
        for row in range(self.n):
            yield Frame(row * self.step, np.full((1, 1, 1), row, np.uint8), f"r[{row}]")
        if self.error:
            raise self.error

    def close(self):
        self.closed = True


@pytest.fixture
def reading(monkeypatch):
    monkeypatch.setattr(base, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(several, "_TICK_SECONDS", 0.02)
    made = []

    def make(rates=None, **streams):
        made.append(Several(streams, rates))
        return made[-1]

    yield make
    for one in made:
        one.close()


def values(rounds, name):
    return [int(frames[name].picture[0, 0, 0]) for frames in rounds if name in frames]


def until(rounds, condition):
    end, found = time.monotonic() + SOON, []
    for frames in rounds:
        found.append(frames)
        if condition(found):
            return found
        assert time.monotonic() < end
    raise AssertionError(found)


def test_recordings_give_every_frame_and_an_end(reading):
    left = Recording(5)
    both = reading(left=left, right=Recording(3))
    rounds = list(both)
    assert values(rounds, "left") == [0, 1, 2, 3, 4]
    assert values(rounds, "right") == [0, 1, 2]
    assert both.ended == {"left", "right"}
    both.close()
    assert left.closed


def test_what_is_live_gives_its_newest(reading):
    live, recording = Given(), Recording(3)
    rounds = iter(reading(live=live, recording=recording))
    assert until(rounds, lambda found: values(found, "live") and values(found, "recording"))
    for _ in range(4):
        live.go.release()
    end = time.monotonic() + SOON
    while live.value < 5 or not live.waits:
        assert time.monotonic() < end
        time.sleep(0.001)
    found = until(rounds, lambda found: values(found, "live"))
    assert values(found, "live") == [5]
    assert live.dropped == 3


def test_a_live_source_that_dies_leaves_the_others_and_may_come_back(reading):
    lost, kept = Given(patience=0.1), Given()
    rounds = iter(reading(lost=lost, kept=kept))
    assert until(rounds, lambda found: values(found, "lost") and values(found, "kept"))
    lost.fails = True
    lost.go.release()
    with pytest.warns(OutriderWarning, match=r"^lost: given gave no picture for 0.1 s: unplugged; it is taken up"):
        until(rounds, lambda found: len(found) >= 20)
    kept.go.release()
    assert values(until(rounds, lambda found: values(found, "kept")), "kept") == [2]
    lost.fails = False
    lost.go.release()
    with pytest.warns(OutriderWarning, match="given is there again"):
        assert values(until(rounds, lambda found: values(found, "lost")), "lost") == [2]


def test_the_end_is_when_nothing_comes_any_more(reading):
    lost = Given(patience=0.1)
    rounds = iter(reading(lost=lost, recording=Recording(2)))
    lost.fails = True
    lost.go.release()
    with pytest.warns(OutriderWarning, match="lost: given gave no picture"):
        found = list(rounds)
    assert values(found, "recording") == [0, 1]


def test_a_recording_that_breaks_is_told_and_the_others_go_on(reading):
    both = reading(bad=Recording(1, ValueError("http://me:secret@host is broken")), good=Recording(40))
    with pytest.warns(OutriderWarning, match=r"^bad: http://\*\*\*@host is broken$"):
        rounds = list(both)
    assert values(rounds, "good") == list(range(40))
    *_, last = [frames["bad"] for frames in rounds if "bad" in frames]
    assert (last.picture, last.problem) == (None, "bad cannot be read on: http://***@host is broken")


def test_a_rate_holds_for_its_stream_alone(reading):
    live = Given()
    rounds = iter(reading({"live": 20.0}, live=live, fast=Recording(60)))
    times = []
    for frames in rounds:
        live.go.release()
        if "live" in frames:
            times.append(time.monotonic())
        if len(times) == 4:
            break
    assert np.diff(times).min() >= 0.02  # never two in one step, whatever the machine does
    assert times[-1] - times[0] >= 3 / 20 - 0.05
