"""A loop without a network, and a listener that knows nothing of ours."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np

from outrider.monitor import Status, Verdict
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.loop.watchdog import Heartbeat

SOON = 30.0  # seconds: far more than anything here takes, so that a slow machine fails no test
DOMAIN = 20 + os.getpid() % 80  # below the ephemeral ports; another run on this machine has another one
LOOPBACK = (
    "<General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast></General>"
    "<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer Address='127.0.0.1'/></Peers></Discovery>"
)
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
        self.statuses, self.streams = {"": status}, {}
        for _ in range(frames):
            self.heartbeat.beat()
            self.metrics.record(Status.OK, 0.5, 1.25, 100.0)


class Loops(Loop):
    """A guard of several streams."""

    def __init__(self, **statuses):
        super().__init__(max(statuses.values()), 0)
        self.statuses, self.streams = statuses, {name: Loop(status) for name, status in statuses.items()}
        self.metrics.streams = {name: one.metrics for name, one in self.streams.items()}

    def history(self, stream):
        return self.streams[stream]


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
