"""What a ROS 2 node would hear: a second process, which builds the types from the .msg files, listens on loopback."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, Status
from outrider.monitor.places import Places
from outrider.networks import Network, Observation, Tap, Taps
from outrider.networks.packages import install_hint
from outrider.runtime import Guard
from outrider.runtime.loop.drift import DriftTest
from outrider.runtime.outlets.ros2 import Ros2Publisher
from outrider.runtime.outlets.ros2 import publisher as publisher_module
from outrider.runtime.outlets.ros2.statements import Statement

from ...children import FORKS, in_child
from .loops import DOMAIN, LOOPBACK, SOON, Loop, Loops, Subscriber, type_hash, verdict, wait

pytest.importorskip("cyclonedds")

TYPE = "diagnostic_msgs::msg::dds_::DiagnosticArray_"


@pytest.fixture
def subscribe(tmp_path):
    started = []

    def start(*topics):
        started.append(Subscriber(tmp_path, *topics))
        assert wait(lambda: started[-1].heard("ready"))
        return started[-1]

    yield start
    for subscriber in started:
        subscriber.close()


class Written:
    """In the place of the writers: keeps what would be sent."""

    def __init__(self, domain, *topics):
        self.domain, self.topics, self.messages = domain, topics, []
        self.go = threading.Event()
        self.go.set()
        self.broken = None

    def write(self, place, wall_ns, frame_id, hardware_id, statements):
        assert self.go.wait(SOON)
        if self.broken is not None:
            raise self.broken
        (name, statement), *more = statements
        self.messages.append((place, wall_ns, frame_id, name, hardware_id, more, statement))

    def write_map(self, wall_ns, frame_id, values):
        self.messages.append(("map", wall_ns, frame_id, values))

    def of(self, place):
        return [message[-1] for message in tuple(self.messages) if message[0] == place]

    def last(self, place):
        return (self.of(place) or [Statement(-1, "", ())])[-1]


@pytest.fixture
def written(monkeypatch):
    """A publisher beside a loop without a network."""
    monkeypatch.setattr(publisher_module, "_Writers", Written)
    made = []

    def make(loop=None, name="front", **settings):
        made.append(Ros2Publisher(loop or Loop(), name, **settings))
        return made[-1], made[-1]._writers

    yield make
    for publisher in made:
        publisher._writers and publisher._writers.go.set()
        assert publisher.close(SOON)


def test_every_stream_is_published_and_the_worst_stands_first(written):
    loops = Loops(left=Status.OK, right=Status.STALE)
    publisher, writers = written(loops, "front", period=0.05)
    assert publisher.verdict(verdict(Status.ALARM, reason="fog"), 5, stream="left")
    assert publisher.verdict(verdict(), 6, stream="right")
    assert wait(lambda: len(writers.of(0)) == 2)
    told = [message for message in tuple(writers.messages) if message[0] == 0]
    assert [(message[3], dict(message[-1].values)["stream"]) for message in told] == [
        ("outrider: front/left", "left"), ("outrider: front/right", "right"),
    ]  # fmt: skip

    def diagnostics():
        return [message for message in tuple(writers.messages) if message[0] == 1 and message[5]]

    assert wait(lambda: any(dict(one[-1].values)["streams_error"] == "1" for one in diagnostics()))
    alarmed = next(one for one in diagnostics() if dict(one[-1].values)["streams_error"] == "1")
    _, _, _, name, _, more, whole = alarmed
    assert (name, whole.level) == ("outrider: front", 3)
    assert whole.message.startswith("right: STALE: no frame for ")
    assert [named for named, _ in more] == ["outrider: front/left", "outrider: front/right"]
    assert [one.level for _, one in more] == [2, 3]
    assert more[0][1].message == "OK again, ALARM since the last message"
    assert dict(whole.values)["streams"] == "2"
    assert wait(lambda: dict(diagnostics()[-1][-1].values)["streams_ok"] == "1"), "and is well in the next message"
    assert publisher.error is None


def test_the_map_of_a_verdict_goes_beside_it_where_a_topic_is_named(written):
    seen = np.arange(6, dtype=np.float32).reshape(2, 3)
    of_places = verdict()._replace(places=Places(seen, 4.0, (20, 30)))
    named, writers = written(maps="outrider/map", namespace="/left")
    assert writers.topics[-1] == "rt/left/outrider/map"
    for one in (verdict(), of_places):
        assert named.verdict(one, 5, "cam")
    assert wait(lambda: named.published == 2)
    (told,) = [message for message in tuple(writers.messages) if message[0] == "map"]
    assert told[1:3] == (5, "cam")
    np.testing.assert_array_equal(told[3], seen)
    silent, writers = written()
    assert len(writers.topics) == 2
    assert silent.verdict(of_places)
    assert wait(lambda: silent.published == 1)
    assert not [message for message in tuple(writers.messages) if message[0] == "map"]


def test_another_process_hears_every_verdict_and_the_diagnostics(subscribe):
    topics = "rt/left/outrider/verdict", "rt/diagnostics"
    subscriber = subscribe(*topics)
    loop = Loop(frames=90, false_alarm_rate=0.01, deadline_us=1000.0, drift=DriftTest(0.01))
    settings = {"namespace": "/left", "frame_id": "camera_left", "domain": DOMAIN, "hardware_id": "bench 1"}
    sent = [
        verdict(),
        verdict(Status.WARN, 1.5, "score 1.5 is above the threshold 1.25; not often enough for an alarm"),
        verdict(Status.ALARM, 0.1 + 0.2, "η ≥ τ", ("relu1:unit single_range", "fc mahalanobis")),
        verdict(Status.FAULT, np.inf, "the frame holds NaN or Inf"),
        verdict(Status.STALE, np.float64(2.5), "41.0 ms old"),
        *(verdict(score=i / 7) for i in range(45)),
    ]
    with Ros2Publisher(loop, "left", network="ab" * 32, profile="cd" * 32, **settings) as publisher:
        assert wait(lambda: {said["topic"] for said in subscriber.heard("matched")} == set(topics))
        assert wait(lambda: all(w.get_matched_subscriptions() for w in publisher._writers._writers))
        for place, one in enumerate(sent):
            assert publisher.verdict(one, wall_ns=1_700_000_000_123_456_789 + place)
            time.sleep(0.002)
        assert wait(lambda: len(subscriber.heard("sample", topics[0])) == len(sent))
        assert wait(lambda: len(subscriber.heard("sample", topics[1])) >= 3)
    assert (publisher.published, publisher.dropped, publisher.error) == (len(sent), 0, None)
    assert wait(lambda: subscriber.heard("sample", topics[1])[-1]["message"] == "no longer watched")

    for place, (one, heard) in enumerate(zip(sent, subscriber.heard("sample", topics[0]), strict=True)):
        assert (heard["sec"], heard["nanosec"]) == (1_700_000_000, 123_456_789 + place)
        assert (heard["frame_id"], heard["name"], heard["hardware_id"]) == ("camera_left", "outrider: left", "bench 1")
        assert heard["level"] == [0, 1, 2, 2, 3][one.status]
        assert heard["message"] == (f"{one.status.name}: {one.reason}" if one.reason else "OK")
        values = dict(heard["values"])
        assert values.pop("status") == one.status.name
        assert values.pop("seq") == str(place)
        assert values.pop("layers") == ", ".join(one.layers)
        assert values.pop("prediction") == "3"
        assert {name: float(value) for name, value in values.items()} == {
            "score": one.score, "threshold": 1.25, "confidence": 0.75,
        }  # fmt: skip

    diagnostics = subscriber.heard("sample", topics[1])
    *regular, _ = diagnostics
    stamps = [heard["sec"] + heard["nanosec"] / 1e9 for heard in regular]
    assert abs(stamps[0] - time.time()) < SOON
    assert 0.5 < (stamps[-1] - stamps[0]) / (len(stamps) - 1) < 3, "about 1 Hz, on a busy machine too"
    values = dict(regular[-1]["values"])
    assert values["frames"] == "90"
    assert (values["network"], values["profile"]) == ("ab" * 32, "cd" * 32)
    assert values["dropped_verdicts"] == "0"
    assert {heard["level"] for heard in diagnostics} >= {3}, "the STALE verdict, and the end"

    publications = {said["topic"]: said for said in subscriber.heard("publication")}
    assert set(publications) == set(topics)
    representation = "Policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=False)"
    for said in publications.values():
        assert said["type"] == TYPE
        assert said["userdata"] == f"typehash={type_hash()};"
        assert said["reliable"]
        assert "Policy.Durability.Volatile" in said["policies"]
        assert representation in said["policies"]


def test_two_guards_share_a_process_and_a_domain(subscribe):
    topics = "rt/a/outrider/verdict", "rt/b/outrider/verdict"
    subscriber = subscribe(*topics)
    with (
        Ros2Publisher(Loop(), "a", namespace="a", domain=DOMAIN) as one,
        Ros2Publisher(Loop(), "b", namespace="b", domain=DOMAIN) as other,
    ):
        assert wait(lambda: len(subscriber.heard("matched")) == 2)
        writers = [*one._writers._writers, *other._writers._writers]  # a match is known to one side before the other
        assert wait(lambda: sum(bool(writer.get_matched_subscriptions()) for writer in writers) == 2)
        one.verdict(verdict())
        other.verdict(verdict(Status.ALARM))
        assert wait(lambda: len(subscriber.heard("sample")) == 2)
    levels = {heard["name"]: heard["level"] for heard in subscriber.heard("sample")}
    assert levels == {"outrider: a": 0, "outrider: b": 2}


def test_an_alarm_between_two_messages_is_not_missed(written):
    publisher, writers = written(period=0.05)
    assert wait(lambda: writers.of(1))
    publisher.verdict(verdict(Status.ALARM))
    publisher.verdict(verdict())
    again = "OK again, ALARM since the last message"
    assert wait(lambda: [said[:2] for said in writers.of(1)].count((2, again)) == 1)
    publisher.guard.metrics.counters.episodes += 1  # where verdicts are not handed over
    assert wait(lambda: [said[:2] for said in writers.of(1)].count((2, again)) == 2)
    assert wait(lambda: writers.last(1)[:2] == (0, "OK"))


class Passing(Network):
    """A network whose one activation is its input."""

    engine, fingerprint, input_shape, preprocessing, classes = "numpy", "ab" * 32, (2,), None, None
    taps = Taps([Tap("hidden", "relu", (2,), "NC", "float32", "unit")])

    def run(self, batch):
        return batch

    def observe(self, batch):
        return Observation(batch, None, (batch,))


def test_a_guard_is_heard_and_is_stale_where_it_hears_nothing(written):
    monitor = Monitor(Passing(), SingleRange())
    frames = np.random.default_rng(0).random((600, 2), np.float32)
    monitor.profile([frames[:400]], minimum_per_class=1)
    monitor.calibrate([frames[400:]], 0.05)
    with Guard(monitor, silence=0.3) as guard:
        publisher, writers = written(guard, period=0.05)
        for frame in (np.array([0.25, 0.5], np.float32), np.array([9, 5], np.float32)):
            assert publisher.verdict(guard(frame)[1])
        assert wait(lambda: len(writers.of(0)) == 2)
        assert [said.level for said in writers.of(0)] == [0, 2]
        assert dict(writers.of(0)[1].values)["layers"] == "hidden:unit single_range"
        assert wait(lambda: writers.last(1).message.startswith("STALE: no frame for "))
        level, _, values = writers.last(1)
        assert (level, dict(values)["frames"], dict(values)["alarms"]) == (3, "2", "1")


def test_a_writer_that_does_not_keep_up_drops_the_oldest(written):
    publisher, writers = written(capacity=4, period=3600)
    assert wait(lambda: writers.of(1))
    writers.go.clear()
    publisher.verdict(verdict())
    assert wait(publisher._queue.empty)  # the writer holds it
    assert all(publisher.verdict(verdict(score=float(i))) for i in range(10))
    assert publisher.dropped == 6
    writers.go.set()
    assert publisher.close(SOON)
    assert [dict(said.values)["seq"] for said in writers.of(0)] == ["0", "7", "8", "9", "10"]
    assert publisher.published == 5


def test_what_dds_raises_is_counted_and_kept(written):
    publisher, writers = written(period=0.02)
    writers.broken = RuntimeError("injected")
    assert publisher.verdict(verdict())
    assert wait(lambda: publisher.dropped == 1)
    assert publisher.error is writers.broken
    assert publisher.failures >= 1
    writers.broken = None
    assert publisher.verdict(verdict())
    assert wait(lambda: publisher.published == 1)
    assert wait(lambda: dict(writers.last(1).values).get("dropped_verdicts") == "1")


def test_what_the_guard_raises_is_counted_and_kept(written):
    publisher, writers = written(period=0.02)
    publisher.guard.metrics = None
    assert wait(lambda: publisher.failures >= 1)
    assert isinstance(publisher.error, AttributeError)
    publisher.verdict(verdict())
    assert wait(lambda: writers.of(0))


def test_a_verdict_that_is_none_is_counted_and_kept(written):
    publisher, _ = written()
    assert not publisher.verdict(None)
    assert isinstance(publisher.error, AttributeError)


def test_a_stamp_beyond_the_type_is_dropped():
    with Ros2Publisher(Loop(), "front", domain=DOMAIN) as publisher:
        assert publisher.verdict(verdict(), wall_ns=1 << 70)
        assert wait(lambda: publisher.dropped == 1)
    assert isinstance(publisher.error, struct.error)


def test_a_closed_publisher_takes_nothing(written):
    publisher, writers = written(name="front camera")
    publisher.verdict(verdict())
    assert publisher.close(SOON)
    assert publisher.close(SOON)
    assert not publisher.verdict(verdict())
    assert (publisher.published, publisher.dropped) == (1, 1)
    assert writers.last(1)[:2] == (3, "no longer watched")
    assert repr(publisher).startswith("Ros2Publisher('front camera', domain 0: 1 published")


def test_texts_that_ros_cannot_hold_are_mended(written):
    publisher, writers = written()
    publisher.verdict(verdict(Status.ALARM, reason="a\0b\ud800" + "x" * 9000))
    assert wait(lambda: writers.of(0))
    message = writers.of(0)[0].message
    assert message.startswith("ALARM: ab?xxx")
    assert len(message) <= 4000


@pytest.mark.parametrize("wrong", [-1, 233, "0", 1.0, True])
def test_domains_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected a domain from 0 to 232, got "):
        Ros2Publisher(Loop(), "front", domain=wrong)


def test_settings_that_make_no_sense_are_refused():
    for name in ("", "a\0b"):
        with pytest.raises(ValueError, match="expected a name of 1 to 4000 characters, got"):
            Ros2Publisher(Loop(), name)
    with pytest.raises(ValueError, match="expected capacity >= 1 and period > 0 seconds, got 0 and 1"):
        Ros2Publisher(Loop(), "front", capacity=0)
    with pytest.raises(ValueError, match="expected a ROS 2 name"):
        Ros2Publisher(Loop(), "front", namespace="front camera")


def test_a_domain_that_cannot_be_joined_is_named(monkeypatch):
    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK.replace("'lo'", "'no_such_interface'"))
    with pytest.raises(OSError, match=r"expected to join the DDS domain 3, got .*CYCLONEDDS_URI"):
        Ros2Publisher(Loop(), "front", domain=3)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cyclonedds", None)
    monkeypatch.setitem(sys.modules, "cyclonedds.core", None)
    with pytest.raises(
        ImportError, match=r"publishing to ROS 2 needs one more package: " + re.escape(install_hint("dds"))
    ):
        Ros2Publisher(Loop(), "front")


def test_importing_the_room_does_not_import_cyclonedds():
    code = (
        "import sys, outrider.runtime.outlets.ros2; print(any(name.startswith('cyclonedds') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@FORKS
def test_a_fork_publishes_nothing_and_waits_for_nobody(written):
    publisher, writers = written()
    wait(lambda: writers.of(1))

    def child():
        before = len(writers.messages)
        taken, closed = publisher.verdict(verdict()), publisher.close()
        return taken, closed, publisher.dropped, str(publisher.error), len(writers.messages) - before

    taken, closed, dropped, error, sent = in_child(child)
    assert (taken, closed, dropped, sent) == (False, True, 1, 0)
    assert error.startswith("expected the process that made the publisher, got a fork of it")
    assert publisher.verdict(verdict())
    assert wait(lambda: len(writers.of(0)) == 1)
