"""A camera of ROS 2 in a process of its own: it knows the .msg files and nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys

DOMAIN = 20 + (os.getpid() + 40) % 80  # another one than the publisher's tests have
LOOPBACK = (
    "<General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast></General>"
    "<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer Address='127.0.0.1'/></Peers></Discovery>"
)
CAMERA = """
import json, sys
import numpy as np

MESSAGES = {
    "builtin_interfaces/Time": "int32 sec\\nuint32 nanosec",
    "std_msgs/Header": "builtin_interfaces/Time stamp\\nstring frame_id",
    "std_msgs/String": "string data",
    "sensor_msgs/Image": "std_msgs/Header header\\nuint32 height\\nuint32 width\\nstring encoding\\n"
        "uint8 is_bigendian\\nuint32 step\\nuint8[] data",
    "sensor_msgs/CompressedImage": "std_msgs/Header header\\nstring format\\nuint8[] data",
}

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import make_idl_struct, types
from cyclonedds.idl.annotations import final
from cyclonedds.pub import DataWriter
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


participant, writers = DomainParticipant(int(sys.argv[1])), {}
for line in sys.stdin:
    said = json.loads(line)
    topic = said["topic"]
    if said["do"] == "open":
        # rclcpp's default, or the profile for sensor data
        reliability = Policy.Reliability.Reliable(0) if said["reliable"] else Policy.Reliability.BestEffort
        qos = Qos(reliability, Policy.Durability.Volatile, Policy.History.KeepLast(5),
                  Policy.DataRepresentation(use_cdrv0_representation=not said["xcdr2"],
                                            use_xcdrv2_representation=said["xcdr2"]))
        data_type = read(said["type"])
        writers[topic] = data_type, DataWriter(participant, Topic(participant, topic, data_type), qos=qos)
    elif said["do"] == "send":
        data_type, writer = writers[topic]
        fields = said["fields"]
        if "file" in said:
            fields["data"] = list(np.fromfile(said["file"], np.uint8))
        if "stamp" in said:
            Header = data_type.__annotations__["header"]
            Time = Header.__annotations__["stamp"]
            fields["header"] = Header(stamp=Time(sec=said["stamp"][0], nanosec=said["stamp"][1]), frame_id="camera")
        writer.write(data_type(**fields))
        del writer  # or it stays when it is told to leave
    elif said["do"] == "matched":
        print(len(writers[topic][1].get_matched_subscriptions()), flush=True)
        continue
    else:
        del writers[topic]
    print("ok", flush=True)
"""


class RosCamera:
    """The process. Every call returns when it has been done."""

    def __init__(self, folder):
        script = folder / "camera.py"
        script.write_text(CAMERA, encoding="utf-8")
        self._folder, environment = folder, os.environ | {"CYCLONEDDS_URI": LOOPBACK}
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(DOMAIN)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip

    def _do(self, do, topic, **more):
        self._process.stdin.write(json.dumps({"do": do, "topic": f"rt{topic}", **more}) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def open(self, topic, kind="sensor_msgs/Image", *, reliable=False, xcdr2=False):
        assert self._do("open", topic, type=kind, reliable=reliable, xcdr2=xcdr2) == "ok"

    def send(self, topic, pixels, stamp, encoding="bgr8"):
        """pixels: (height, width, 3)."""
        height, width = pixels.shape[:2]
        fields = {"height": height, "width": width, "encoding": encoding, "is_bigendian": 0, "step": 3 * width}
        self._send(topic, pixels.tobytes(), stamp, fields)

    def send_compressed(self, topic, data, stamp):
        self._send(topic, data, stamp, {"format": "png"})

    def _send(self, topic, data, stamp, fields):
        (self._folder / "data").write_bytes(data)
        assert self._do("send", topic, file=str(self._folder / "data"), stamp=stamp, fields=fields) == "ok"

    def matched(self, topic):
        return int(self._do("matched", topic))

    def leave(self, topic):
        assert self._do("leave", topic) == "ok"

    def close(self):
        self._process.stdin.close()  # it leaves the domain in order: one that is killed is there for ten seconds more
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.stdout.close()
