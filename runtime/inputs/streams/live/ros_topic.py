"""A live image topic of ROS 2 as a stream, subscribed to over DDS; no ROS is needed here."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import numpy as np

from .....networks.packages import require
from ....dds.names import domain_id, topic_name
from ..encodings.pictures import to_picture
from ..image_message import COMPRESSED, IMAGE, decoder
from .base import Live, Taken

PREFIX = "ros2:"
_TYPES = {f"sensor_msgs::msg::dds_::{kind}_": f"sensor_msgs/msg/{kind}" for kind in ("Image", "CompressedImage")}
_OPENING_SECONDS, _POLL_SECONDS = 10.0, 0.05
_DEPTH = 5
_NEED = "subscribing to ROS 2 needs one more package"


class RosTopic(Live):
    """The pictures of a topic of sensor_msgs/Image or CompressedImage, as they are published.

    It listens as `ros2 topic echo` does: reliably where all publishers offer that, as large pictures need it, and best
    effort otherwise; volatile, the last 5. Times are those of the header, or of the arrival where that has none.
    `dropped` counts messages that DDS lost on the way too, as far as it says so. A topic whose last publisher goes away
    is waited for. patience: see `Live`. domain: None for ROS_DOMAIN_ID, or 0. CYCLONEDDS_URI configures the network.
    Raises ImportError naming the extra `dds`, ValueError for a name that ROS refuses and for a topic that does not
    appear, with the image topics that there are, OSError where the domain cannot be joined.
    """

    def __init__(self, topic: str, patience: float = 10.0, domain: int | None = None) -> None:
        self._core, dds_domain, self._builtin, self._sub, self._topics, self._qos = (
            require(f"cyclonedds.{part}", _NEED, "dds") for part in ("core", "domain", "builtin", "sub", "topic", "qos")
        )
        self._dds_name = topic_name(topic.removeprefix(PREFIX))
        self._domain = domain_id(domain)
        self._decoders = {kind: decoder(kind, "cdr") for kind in (IMAGE, COMPRESSED)}
        self._unheard = 0
        self._found: dict[str, set[str]] = {}
        super().__init__(self._dds_name.removeprefix("rt"), patience, _OPENING_SECONDS)
        try:
            self._participant = dds_domain.DomainParticipant(self._domain)
        except self._core.DDSException as error:
            raise OSError(
                f"{self.name}: expected to join the DDS domain {self._domain}, got {str(error).strip()};"
                " name a network interface that is up in CYCLONEDDS_URI"
            ) from None
        self._begin()

    def _items(self) -> Generator[Taken, None, None]:
        offered = self._offered()
        if offered is None:
            return
        kind, reliable = offered
        reader = self._reader(kind, reliable)
        waiting = self._core.WaitSet(self._participant)
        states = self._core
        mask = states.ViewState.Any | states.SampleState.Any | states.InstanceState.Any
        waiting.attach(self._core.ReadCondition(reader, mask))
        matched, lost = False, 0
        while not self._stop.is_set():
            waiting.wait(round(_POLL_SECONDS * 1e9))
            for sample in reader.take(_DEPTH):
                if sample.sample_info.valid_data:
                    total = reader.get_sample_lost_status().total_count
                    self._unheard, lost = total - lost, total
                    stamp_ns = sample.stamp_ns
                    seconds = time.time() if stamp_ns is None else stamp_ns / 1e9
                    yield Taken((kind, sample.data), "", seconds, stamp_ns)
            if reader.get_matched_publications():
                matched = True
            elif matched:
                raise ConnectionError("nobody publishes it any more")

    def _picture(self, what: Any) -> np.ndarray:
        kind, data = what
        return to_picture(self._decoders[kind](data))

    def _lost(self) -> int:
        return self._unheard

    def _nothing(self) -> str:
        named = self._found.get(self._dds_name, set())
        if named & _TYPES.keys():
            return f"nothing for {self._opening:g} s from a topic that is there"
        if named:
            return f"a topic of {', '.join(sorted(map(_ros_type, named)))}"
        pictures = sorted(name.removeprefix("rt") for name, kinds in self._found.items() if kinds & _TYPES.keys())
        there = f"there are {', '.join(pictures)}" if pictures else "there are no image topics"
        return f"no such topic in domain {self._domain} for {self._opening:g} s; {there}"

    def _offered(self) -> tuple[str, bool] | None:
        """The type of the topic, once somebody publishes it, and whether all do so reliably; None once it is closed."""
        publications = self._builtin.BuiltinDataReader(self._participant, self._builtin.BuiltinTopicDcpsPublication)
        best_effort = self._qos.Policy.Reliability.BestEffort
        while not self._stop.is_set():
            found: dict[str, set[str]] = {}
            reliable = True
            for one in publications.read(1000):
                if one.topic_name.startswith("rt/"):
                    found.setdefault(one.topic_name, set()).add(one.type_name)
                if one.topic_name == self._dds_name:
                    reliable &= best_effort not in one.qos
            self._found = found
            for name, kind in _TYPES.items():
                if name in found.get(self._dds_name, ()):
                    return kind, reliable
            self._stop.wait(_POLL_SECONDS)
        return None

    def _reader(self, kind: str, reliable: bool) -> Any:
        from ....dds.images import RosCompressedImage, RosImage

        policy = self._qos.Policy
        topic = self._topics.Topic(self._participant, self._dds_name, RosImage if kind == IMAGE else RosCompressedImage)
        return self._sub.DataReader(
            self._participant,
            topic,
            qos=self._qos.Qos(
                policy.Reliability.Reliable(0) if reliable else policy.Reliability.BestEffort,
                policy.Durability.Volatile,
                policy.History.KeepLast(_DEPTH),
                policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=True),
            ),
        )


def _ros_type(name: str) -> str:
    """A type of DDS by its name in ROS: sensor_msgs/msg/Image for sensor_msgs::msg::dds_::Image_."""
    return name.replace("::dds_::", "::").replace("::", "/").removesuffix("_")
