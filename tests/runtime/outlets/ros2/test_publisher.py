"""What a ROS 2 node would hear: a second process, which builds the types from the .msg files, listens on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, Status, Verdict
from outrider.networks import Network, Observation, Tap, Taps
from outrider.runtime import Guard
from outrider.runtime.loop.drift import DriftTest
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.loop.watchdog import Heartbeat
from outrider.runtime.outlets.ros2 import LEVELS, Ros2Publisher, domain_id, topic_name
from outrider.runtime.outlets.ros2 import publisher as publisher_module
from outrider.runtime.outlets.ros2.statements import Statement, of_loop

pytest.importorskip("cyclonedds")

SOON = 30.0  # seconds: far more than anything here takes, so that a slow machine fails no test
DOMAIN = 20 + os.getpid() % 80  # below the ephemeral ports; another run on this machine has another one
LOOPBACK = (
    "<General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast></General>"
    "<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer Address='127.0.0.1'/></Peers></Discovery>"
)
TYPE = "diagnostic_msgs::msg::dds_::DiagnosticArray_"

# The subscriber knows nothing of ours: it has the .msg files as ROS 2 has them, and rules to read them.
SUBSCRIBER = """
import json, sys, time

MESSAGES = {
    "builtin_interfaces/Time": "int32 sec\\nuint32 nanosec",
    "std_msgs/Header": "builtin_interfaces/Time stamp\\nstring frame_id",
    "diagnostic_msgs/KeyValue": "string key\\nstring value",
    "diagnostic_msgs/DiagnosticStatus":
        "byte level\\nstring name\\nstring message\\nstring hardware_id\\nKeyValue[] values",
    "diagnostic_msgs/DiagnosticArray": "std_msgs/Header header\\nDiagnosticStatus[] status",
}

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import make_idl_struct, types
from cyclonedds.idl.annotations import final
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic


def read(name):
    package, fields = name.split("/")[0], {}
    for line in MESSAGES[name].splitlines():
        kind, field = line.split()
        element = kind.removesuffix("[]")
        if element == "string":
            built = str
        elif hasattr(types, element):
            built = getattr(types, element)
        else:
            built = read(element if "/" in element else f"{package}/{element}")
        fields[field] = types.sequence[built] if kind.endswith("[]") else built
    word = name.split("/")[1]
    return final(make_idl_struct(word, f"{package}.msg.dds_.{word}_", fields))


def say(**what):
    print(json.dumps(what), flush=True)


domain, names = int(sys.argv[1]), sys.argv[2:]
participant = DomainParticipant(domain)
# As rclpy and rclcpp subscribe by default, but that nothing is let go.
qos = Qos(Policy.Reliability.Reliable(0), Policy.Durability.Volatile, Policy.History.KeepAll,
          Policy.DataRepresentation(use_cdrv0_representation=True))
data_type = read("diagnostic_msgs/DiagnosticArray")
readers = {name: DataReader(participant, Topic(participant, name, data_type), qos=qos) for name in names}
publications = BuiltinDataReader(participant, BuiltinTopicDcpsPublication)
say(kind="ready")
known, matched = set(), set()
while True:
    for publication in publications.take(100):
        if publication.topic_name in names and publication.topic_name not in known:
            known.add(publication.topic_name)
            qos = publication.qos
            say(kind="publication", topic=publication.topic_name, type=publication.type_name,
                userdata=bytes(qos[Policy.Userdata].data).decode(), reliable=Policy.Reliability.Reliable(0) in qos,
                policies=[str(policy) for policy in qos])
    for name, reader in readers.items():
        if name not in matched and reader.get_matched_publications():
            matched.add(name)
            say(kind="matched", topic=name)
        for sample in reader.take(100):
            if sample.sample_info.valid_data:
                (status,) = sample.status
                say(kind="sample", topic=name, sec=sample.header.stamp.sec, nanosec=sample.header.stamp.nanosec,
                    frame_id=sample.header.frame_id, level=status.level, name=status.name, message=status.message,
                    hardware_id=status.hardware_id, values=[[pair.key, pair.value] for pair in status.values])
    assert not [name for name in sys.modules if name.startswith("outrider")]
    time.sleep(0.01)
"""


class Subscriber:
    """The process, and everything that it has said."""

    def __init__(self, folder, *topics):
        script = folder / "subscriber.py"
        script.write_text(SUBSCRIBER, encoding="utf-8")
        environment = os.environ | {"CYCLONEDDS_URI": LOOPBACK}
        command = [sys.executable, str(script), str(DOMAIN), *topics]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self.said = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def heard(self, kind, topic=None):
        return [what for what in tuple(self.said) if what["kind"] == kind and topic in (None, what.get("topic"))]

    def close(self):
        self.process.kill()
        self.process.wait(SOON)
        self._thread.join(SOON)
        self.process.stdout.close()


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


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK)
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)


def wait(condition):
    end = time.monotonic() + SOON
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def verdict(status=Status.OK, score=0.5, reason="", layers=()):
    return Verdict(status, score, 1.25, 0.75, 3, np.zeros(2, np.float32), layers, reason)


class Loop:
    """As much of a guard as is published."""

    def __init__(self, status=Status.OK, frames=1, **settings):
        self.status, self.metrics, self.heartbeat = status, Metrics(**settings), Heartbeat()
        for _ in range(frames):
            self.heartbeat.beat()
            self.metrics.record(Status.OK, 0.5, 1.25, 100.0)


class Written:
    """In the place of the writers: keeps what would be sent."""

    def __init__(self, domain, *topics):
        self.domain, self.topics, self.messages = domain, topics, []
        self.go = threading.Event()
        self.go.set()
        self.broken = None

    def write(self, place, wall_ns, frame_id, name, hardware_id, statement):
        assert self.go.wait(SOON)
        if self.broken is not None:
            raise self.broken
        self.messages.append((place, wall_ns, frame_id, name, hardware_id, statement))

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


# Another process.


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
        one.verdict(verdict())
        other.verdict(verdict(Status.ALARM))
        assert wait(lambda: len(subscriber.heard("sample")) == 2)
    levels = {heard["name"]: heard["level"] for heard in subscriber.heard("sample")}
    assert levels == {"outrider: a": 0, "outrider: b": 2}


# The bytes, the type.


def test_the_bytes_are_those_of_the_cdr_rules():
    from outrider.runtime.outlets.ros2 import messages as m

    array = m.DiagnosticArray(
        m.RosHeader(m.Time(-2, 4_000_000_000), "cam"),
        [
            m.DiagnosticStatus(2, "η", "", "hw", [m.KeyValue("score", "1.5")]),
            m.DiagnosticStatus(3, "b", "no", "", []),
        ],
    )
    little = sys.byteorder == "little"
    order = "<" if little else ">"

    def length(value):
        return struct.pack(order + "I", value)

    # OMG CDR: a string is its length with the zero at its end, its bytes and the zero; a sequence its length and its
    # items; an octet stands where it stands, an integer at a multiple of its size, counted behind the four bytes that
    # name the encoding (RTPS 2.2, 10.2.1.2: CDR_LE is 0x0001).
    expected = (
        (b"\x00\x01\x00\x00" if little else b"\x00\x00\x00\x00")
        + struct.pack(order + "iI", -2, 4_000_000_000)
        + length(4) + b"cam\0"  # 16
        + length(2)  # 20
        + b"\x02" + b"\0\0\0"  # 24
        + length(3) + b"\xce\xb7\0" + b"\0"  # 32
        + length(1) + b"\0" + b"\0\0\0"  # 40
        + length(3) + b"hw\0" + b"\0"  # 48
        + length(1)  # 52
        + length(6) + b"score\0" + b"\0\0"  # 64
        + length(4) + b"1.5\0"  # 72
        + b"\x03" + b"\0\0\0"  # 76
        + length(2) + b"b\0" + b"\0\0"  # 84
        + length(3) + b"no\0" + b"\0"  # 92
        + length(1) + b"\0" + b"\0\0\0"  # 100
        + length(0)
    )  # fmt: skip
    assert array.serialize() == expected
    assert m.DiagnosticArray.deserialize(expected) == array


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
pairs = st.lists(st.tuples(texts, texts), max_size=3)


@given(
    st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, (1 << 32) - 1), texts,
    st.lists(st.tuples(st.integers(0, 255), texts, texts, texts, pairs), max_size=3),
)  # fmt: skip
def test_the_bytes_are_those_of_cyclonedds(sec, nanosec, frame_id, statuses):
    from cyclonedds.idl import IdlStruct

    from outrider.runtime.outlets.ros2 import messages as m

    array = m.DiagnosticArray(
        m.RosHeader(m.Time(sec, nanosec), frame_id),
        [m.DiagnosticStatus(*rest, [m.KeyValue(*pair) for pair in values]) for *rest, values in statuses],
    )
    assert array.serialize(use_version_2=False) == IdlStruct.serialize(array, use_version_2=False)
    assert array.serialize(use_version_2=True) == IdlStruct.serialize(array, use_version_2=True)


def type_hash():
    """REP-2016: SHA-256 of the description of the type and of all it refers to, as JSON; numbers are FieldType's."""
    structure, uint32, int32, octet, string, sequence = 1, 7, 6, 16, 17, 145

    def describe(name, *fields):
        described = [
            {
                "name": field,
                "type": {"type_id": kind, "capacity": 0, "string_capacity": 0, "nested_type_name": nested},
            }
            for field, kind, nested in fields
        ]
        return {"type_name": name, "fields": described}

    others = [
        describe("builtin_interfaces/msg/Time", ("sec", int32, ""), ("nanosec", uint32, "")),
        describe(
            "diagnostic_msgs/msg/DiagnosticStatus", ("level", octet, ""), ("name", string, ""),
            ("message", string, ""), ("hardware_id", string, ""), ("values", sequence, "diagnostic_msgs/msg/KeyValue"),
        ),
        describe("diagnostic_msgs/msg/KeyValue", ("key", string, ""), ("value", string, "")),
        describe(
            "std_msgs/msg/Header", ("stamp", structure, "builtin_interfaces/msg/Time"), ("frame_id", string, ""),
        ),
    ]  # fmt: skip
    whole = describe(
        "diagnostic_msgs/msg/DiagnosticArray",
        ("header", structure, "std_msgs/msg/Header"),
        ("status", sequence, "diagnostic_msgs/msg/DiagnosticStatus"),
    )
    described = json.dumps({"type_description": whole, "referenced_type_descriptions": others})
    return "RIHS01_" + hashlib.sha256(described.encode()).hexdigest()


def test_the_hash_is_that_of_the_type():
    from outrider.runtime.outlets.ros2.messages import TYPE_HASH

    assert type_hash() == TYPE_HASH


# What is said.


@pytest.mark.parametrize(
    ("now", "worst", "expected"),
    [
        (Status.OK, Status.OK, (0, "OK")),
        (Status.WARN, Status.WARN, (1, "WARN")),
        (Status.ALARM, Status.ALARM, (2, "ALARM: why")),
        (Status.FAULT, Status.FAULT, (2, "FAULT")),
        (Status.OK, Status.ALARM, (2, "OK again, ALARM since the last message")),
        (Status.ALARM, Status.FAULT, (2, "ALARM again, FAULT since the last message")),
        (Status.OK, Status.STALE, (3, "OK again, STALE since the last message")),
    ],
)
def test_the_loop_is_as_bad_as_it_was_since_the_last_message(now, worst, expected):
    last = publisher_module.Heard(0, 0, "", Status.ALARM, 2.0, 1.0, 0.1, 1, (), "why")
    assert of_loop(Loop(now), last, worst)[:2] == expected


def test_silence_and_a_loop_that_has_not_begun_are_stale():
    assert of_loop(Loop(Status.OK, frames=0), None, Status.OK)[:2] == (3, "no frame yet")
    level, message, _ = of_loop(Loop(Status.STALE), None, Status.OK)
    assert (level, message) == (3, "STALE: no frame for 0.0 s")


def test_a_calibration_that_no_longer_holds_is_a_warning():
    drift = DriftTest(0.01, stride=1)
    while not drift.update(True):
        pass
    level, message, values = of_loop(Loop(drift=drift), None, Status.OK)
    assert level == 1
    assert message.startswith("OK: calibration no longer holds")
    assert dict(values)["calibration_holds"] == "false"


def test_the_values_are_those_of_the_metrics():
    loop = Loop(frames=99, false_alarm_rate=0.01, deadline_us=5000.0, drift=DriftTest(0.01))
    loop.metrics.record(Status.ALARM, 2.0, 1.25, 9000.0)
    values = dict(of_loop(loop, None, Status.OK).values)
    assert (values["frames"], values["alarms"], values["deadline_misses"]) == ("100", "1", "1")
    assert float(values["availability_ratio"]) == 1
    assert float(values["alarms_per_hour"]) > 0
    assert float(values["calibrated_alarms_per_hour"]) > 0
    assert 100 < float(values["latency_median_us"]) <= 125
    assert 100 < float(values["latency_p99_us"]) <= 125
    assert float(values["latency_largest_us"]) == 9000
    assert float(values["deadline_us"]) == 5000
    assert (values["drift_evidence"], values["calibration_holds"]) == ("1.0", "true")
    assert float(values["seconds_since_frame"]) >= 0
    bare = dict(of_loop(Loop(frames=0), None, Status.OK).values)
    assert bare["availability_ratio"] == "nan"
    assert not {"calibrated_alarms_per_hour", "deadline_us", "drift_evidence", "seconds_since_frame"} & set(bare)


def test_every_status_has_a_level():
    assert dict(zip(Status, (0, 1, 2, 2, 3), strict=True)) == LEVELS


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


# Nothing of it reaches the loop.


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


# Names, domains, what is missing.


@pytest.mark.parametrize(
    ("topic", "namespace", "expected"),
    [
        ("/diagnostics", "", "rt/diagnostics"),
        ("/diagnostics", "/left", "rt/diagnostics"),
        ("outrider/verdict", "", "rt/outrider/verdict"),
        ("outrider/verdict", "/", "rt/outrider/verdict"),
        ("outrider/verdict", "left", "rt/left/outrider/verdict"),
        ("outrider/verdict", "/robot_1/left/", "rt/robot_1/left/outrider/verdict"),
        ("a" * 246, "", "rt/" + "a" * 246),
    ],
)
def test_names_are_those_of_ros(topic, namespace, expected):
    assert topic_name(topic, namespace) == expected


@pytest.mark.parametrize(
    ("topic", "namespace"),
    [
        ("", ""), ("/", ""), ("a/", ""), ("a//b", ""), ("1a", ""), ("a/2", ""), ("a b", ""), ("~/a", ""), ("ä", ""),
        ("{node}/a", ""), ("a", "front camera"), ("a", "1"), ("a", "//b"), ("a", "b//"), ("a" * 247, ""), ("a\n", ""),
    ],
)  # fmt: skip
def test_names_that_ros_refuses_are_refused(topic, namespace):
    with pytest.raises(ValueError, match=r"expected a ROS 2 name, words of letters, digits and _ .* got "):
        topic_name(topic, namespace)


def test_the_domain_is_that_of_the_environment(monkeypatch):
    assert domain_id() == 0
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert domain_id() == 42
    assert domain_id(7) == 7
    monkeypatch.setenv("ROS_DOMAIN_ID", "")
    assert domain_id() == 0
    for wrong in ("-1", "233", "x", "٣"):
        monkeypatch.setenv("ROS_DOMAIN_ID", wrong)
        with pytest.raises(ValueError, match=f"expected ROS_DOMAIN_ID from 0 to 232, got '{wrong}'"):
            domain_id()


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
    with pytest.raises(ImportError, match=r"publishing to ROS 2 needs one more package: pip install 'outrider\[dds]'"):
        Ros2Publisher(Loop(), "front")


def test_importing_the_room_does_not_import_cyclonedds():
    code = (
        "import sys, outrider.runtime.outlets.ros2; print(any(name.startswith('cyclonedds') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
