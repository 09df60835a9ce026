"""Live sources that break while they are watched, alone and among others. See `injection`."""

from __future__ import annotations

import time
import warnings

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs.streams import Frame, Several
from outrider.runtime.inputs.streams.live import base
from outrider.runtime.inputs.streams.live.base import Taken
from outrider.runtime.loop.watch import Watch

from ..inputs.streams.live.told import Told
from ..small_network import CLEAN, STRANGE, frames
from .injection import FAULT, OK, SOON, STALE, Failures

FAILURES = Failures()
PICTURES = [CLEAN, frames(1, 8)[0]] * 3


class Onlooker:
    """The last status of each stream, and why."""

    def __init__(self):
        self.status, self.reason = {}, {}

    def seen(self, seen):
        self.status[seen.stream], self.reason[seen.stream] = seen.verdict.status, seen.verdict.reason

    def idle(self, status, stream=""):
        self.status[stream] = status


class Stage:
    """One or several live sources, a guard, and the watch between them."""

    def __init__(self, scene, *names, silence=0.2, **recordings):
        self.sources = {name: Told(0, picture=self.picture, name=name or "told") for name in names}
        self.guard = scene.start(silence=silence if not any(names) else dict.fromkeys(names, silence))
        self.view = Onlooker()
        streams = self.sources | recordings
        self.watch = Watch(self.guard, lambda picture: picture, [self.view], streams)
        self.rounds = iter(Several(streams))

    def picture(self, what):
        if what is STRANGE:
            return STRANGE
        if what < 0:
            raise ValueError("expected a picture, got half of one")
        return PICTURES[what]

    def until(self, condition):
        end = time.monotonic() + SOON
        while not condition() and time.monotonic() < end:
            self.watch.steps(next(self.rounds))
        assert condition(), (self.view.status, self.view.reason)

    def expect(self, status, stream="", reason=""):
        self.until(lambda: self.view.status.get(stream) is status)
        assert reason in self.view.reason.get(stream, "")

    def counters(self, stream=""):
        return self.guard.history(stream).metrics.counters

    def close(self):
        for source in self.sources.values():
            source.close()


@pytest.fixture
def stage(monkeypatch, scene):
    monkeypatch.setattr(base, "_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(base, "_TICK_SECONDS", 0.01)
    made = []

    def make(*names, **options):
        made.append(Stage(scene, *(names or ("",)), **options))
        return made[-1]

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", OutriderWarning)
        make.told = lambda: [str(one.message) for one in told]
        yield make
    for one in made:
        one.close()


def lost_and_back(error, words):
    """A source that goes away: STALE while it is away, OK again afterwards, and written down."""

    def inject(scene, stage):
        on = stage()
        on.expect(OK)
        on.sources[""].tell(error)
        on.expect(STALE)
        assert on.watch.alarmed
        on.sources[""].tell(1)
        on.until(lambda: on.counters().reconnects == 1)
        on.expect(OK)
        assert on.counters().silences >= 1
        assert any("told is there again after " in text and words in text for text in stage.told())
        scene.flush()
        kinds = [event.kind for event in scene.events() if event.kind in ("silence", "reconnected")]
        assert kinds[0] == "silence"
        assert kinds.count("reconnected") == 1

    return inject


FAILURES("a connection that is lost")(
    lost_and_back(ConnectionResetError(104, "Connection reset"), "(connection reset)")
)
FAILURES("a stream that ends")(lost_and_back(None, "(the end of the stream)"))
FAILURES("a topic that vanishes")(
    lost_and_back(ConnectionError("nobody publishes it any more"), "(nobody publishes it any more)")
)
FAILURES("a server that hangs")(lost_and_back(TimeoutError("nothing for 5 s"), "(nothing for 5 s)"))


@FAILURES("garbage from a stream")
def _(scene, stage):
    on = stage()
    on.sources[""].tell(Taken(None, "expected a frame of a video, got invalid data"))
    on.expect(FAULT, reason="got invalid data")
    on.sources[""].tell(2)
    on.expect(OK)
    assert on.counters().faults == 1
    scene.flush()
    assert [event.kind for event in scene.events()].count("unreadable") == 1


@FAILURES("a picture that cannot be made of what came")
def _(scene, stage):
    on = stage()
    on.sources[""].tell(-1)
    on.expect(FAULT, reason="expected a picture, got half of one")
    on.sources[""].tell(3)
    on.expect(OK)


@FAILURES("a loop that is too slow")
def _(scene, stage):
    on = stage()
    on.expect(OK)
    on.sources[""].tell(1, 2, 3, 4)
    on.until(lambda: on.counters().frames == 5)  # three before the watch, one at its beginning and the newest
    assert on.view.status[""] is OK
    assert on.counters().frames_dropped == 3


@FAILURES("a camera that dies among others")
def _(scene, stage):
    on = stage("left", "right")
    on.sources["left"].patience = 0.05
    on.expect(OK, "left")
    on.expect(OK, "right")
    on.sources["left"].tell(OSError(19, "No such device"))
    while on.view.status["left"] is not STALE:
        on.sources["right"].tell(1)
        on.watch.steps(next(on.rounds))
    assert on.guard.status is STALE
    on.until(lambda: any("left gave no picture for 0.05 s: no such device" in text for text in stage.told()))
    on.sources["right"].tell(STRANGE)
    on.until(lambda: on.counters("right").alarms == 1)
    on.sources["left"].tell(2)
    on.expect(OK, "left")


class Breaking:
    """A recording that cannot be read on after one frame."""

    live, dropped, reconnects = False, 0, 0

    def __iter__(self):
        yield Frame(0.0, PICTURES[5], "recording[0]")
        raise ValueError("the file is damaged")

    def close(self):
        pass


@FAILURES("a recording among others that cannot be read on")
def _(scene, stage):
    on = stage("left", recording=Breaking())
    on.expect(FAULT, "recording", "recording cannot be read on: the file is damaged")
    on.sources["left"].tell(1)
    on.until(lambda: on.counters("left").frames == 2)
    assert on.view.status["left"] is OK
    assert "recording: the file is damaged" in stage.told()


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_ends_where_it_is_due(scene, stage, name):
    FAILURES[name](scene, stage)
    scene.finish()
